//! A network namespace with a thread that lives in it.
//!
//! The namespace has no name and no mount: it is gone, with its devices, when the thread is, however the process ends.

use std::{
    any::Any,
    io,
    process::Command,
    sync::mpsc::{Receiver, Sender, channel},
    thread::JoinHandle,
};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::cpu;

type Job = Box<dyn FnOnce() + Send>;

/// The thread, and how it is told what to do.
pub struct Room {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    /// By which `ip` finds the namespace.
    pub thread_id: i32,
}

impl Room {
    /// A new namespace; its loopback device is up.
    pub fn new() -> Result<Self> {
        let (jobs, work) = channel::<Job>();
        let (answer, answers) = channel();
        let thread = std::thread::spawn(move || {
            let made = cpu::new_network().map(|()| cpu::thread_id());
            let failed = made.is_err();
            if answer.send(made).is_err() || failed {
                return;
            }
            for job in work {
                job();
            }
        });
        let thread_id = answers.recv()?.context("making a network namespace")?;
        let room = Self { jobs: Some(jobs), thread: Some(thread), thread_id };
        room.run(|| ip("link set lo up"))??;
        Ok(room)
    }

    /// Starts something in the room.
    pub fn start<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Receiver<T>> {
        let (answer, answers) = channel();
        let job = Box::new(move || {
            // Nobody waits for it any more: fine.
            let _ = answer.send(job());
        });
        let jobs = self.jobs.as_ref().context("a room that is closed")?;
        jobs.send(job).map_err(|_| anyhow!("the thread of a namespace has ended"))?;
        Ok(answers)
    }

    /// Does something in the room.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        self.start(job)?.recv().context("the thread of a namespace has ended")
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _: Result<(), Box<dyn Any + Send>> = thread.join();
        }
    }
}

/// One step of `ip`, in the namespace of the calling thread.
pub fn ip(step: &str) -> Result<()> {
    tool("ip", step)
}

/// One step of one of iproute2's programs, in the namespace of the calling thread.
pub fn tool(program: &str, step: &str) -> Result<()> {
    let output = Command::new(program)
        .args(step.split_whitespace())
        .output()
        .with_context(|| format!("starting {program}"))?;
    if !output.status.success() {
        bail!("{program} {step}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Packets that a device of the calling thread's namespace has received.
pub fn received(device: &str) -> io::Result<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/net/dev")?;
    parse_received(&text, device)
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no device {device}")))
}

/// The second figure behind the device's name.
fn parse_received(text: &str, device: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (name, figures) = line.split_once(':')?;
        (name.trim() == device).then(|| figures.split_whitespace().nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_the_second_figure() {
        let text =
            "Inter-| Receive\n face |bytes packets errs\n  eth0: 1200  34 0 0\n eth01:5 6 7\n";
        assert_eq!(parse_received(text, "eth0"), Some(34));
        assert_eq!(parse_received(text, "eth01"), Some(6));
        assert_eq!(parse_received(text, "eth"), None);
    }
}
