//! The lab's traffic: two servers and two clients, each a child in its namespace, for a bounded time.

use std::{
    os::unix::process::CommandExt as _,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use super::{API, CLI, DATABASE_PORT, DB, HTTP_PORT, Node, UDP_PORT, WEB, marker, topology};
use crate::{cleanup, command::command, refused::Refused, report::say};

/// `--seconds 0` means "until Ctrl-C", but a forgotten terminal must not send for ever.
const AT_MOST: Duration = Duration::from_hours(1);
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long; 0 is until Ctrl-C, and never more than an hour
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// How many times the usual rate of some 10 connections per second
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100), default_missing_value = "10", num_args = 0..=1)]
    scale: u32,
}

/// `cargo xtask lab traffic`
pub(super) fn run(args: &Args) -> Result<()> {
    if !topology::is_up() {
        return Err(
            Refused::new("there is no lab here", "`cargo xtask lab up` brings it up").into()
        );
    }
    let limit = bounded(args.seconds);
    let traffic = Traffic::start(limit, args.scale)?;
    say(format_args!("traffic for at most {} s; Ctrl-C ends it", limit.as_secs()));
    let begin = Instant::now();
    while begin.elapsed() < limit && !cleanup::requested() {
        thread::sleep(Duration::from_millis(50));
    }
    drop(traffic);
    Ok(())
}

fn bounded(seconds: u64) -> Duration {
    if seconds == 0 { AT_MOST } else { Duration::from_secs(seconds).min(AT_MOST) }
}

/// Traffic for as long as this value lives, or until its time is up.
pub(crate) struct Traffic {
    children: Vec<Child>,
}

impl Traffic {
    /// Traffic until dropped, but not for more than the hour.
    pub(crate) fn endless() -> Result<Self> {
        Self::start(AT_MOST, 1)
    }

    fn start(limit: Duration, scale: u32) -> Result<Self> {
        if marker::stop_traffic() {
            say("stopped the traffic that was there");
        }
        marker::set_traffic()?;
        let mut traffic = Self { children: Vec::new() };
        let (http, database, udp) =
            (HTTP_PORT.to_string(), DATABASE_PORT.to_string(), UDP_PORT.to_string());
        traffic.spawn(&WEB, &["lab-serve", "--tcp", &http, "--udp", &udp])?;
        traffic.spawn(&DB, &["lab-serve", "--tcp", &database])?;
        let (seconds, scale) = (limit.as_secs().to_string(), scale.to_string());
        for node in [API, CLI] {
            traffic.spawn(
                &node,
                &["lab-client", node.name, "--seconds", &seconds, "--scale", &scale],
            )?;
        }
        Ok(traffic)
    }

    fn spawn(&mut self, node: &Node, args: &[&str]) -> Result<()> {
        cleanup::check()?;
        let program = std::env::current_exe().context("finding this program")?;
        let mut command = command("ip");
        // A group of their own: Ctrl-C reaches them through us, clients first.
        command.args(["netns", "exec", node.name]).arg(program).args(args).process_group(0);
        die_with_us(&mut command);
        let child =
            command.spawn().with_context(|| format!("starting the traffic of {}", node.name))?;
        self.children.push(child);
        Ok(())
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        // The clients were started last and are stopped first, so that they see no server go away.
        while let Some(mut child) = self.children.pop() {
            stop(&mut child);
        }
        marker::clear_traffic();
    }
}

fn stop(child: &mut Child) {
    // An error means that it has ended by itself.
    let _ = cleanup::signal(child.id(), libc::SIGTERM);
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// Even `kill -9` of this process must leave nobody sending.
#[expect(unsafe_code, reason = "std has no way to set the parent-death signal")]
fn die_with_us(command: &mut Command) {
    // SAFETY: prctl is async-signal-safe and the closure touches no memory shared with the parent.
    unsafe {
        command.pre_exec(|| {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == 0 {
                Ok(())
            } else {
                Err(std::io::Error::last_os_error())
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_always_ends() {
        assert_eq!(bounded(0), AT_MOST);
        assert_eq!(bounded(30), Duration::from_secs(30));
        assert_eq!(bounded(u64::MAX), AT_MOST);
    }
}
