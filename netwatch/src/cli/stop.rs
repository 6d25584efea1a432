//! `netwatch stop`: ends the agent that runs here, and takes away what counts if that is wanted.

use std::{
    io::ErrorKind,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Arg, ArgAction, ArgMatches, Command};
use rustix::{
    event::{PollFd, PollFlags, poll},
    net::sockopt::socket_peercred,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use super::{
    Exit, Failure, check, command,
    option::{Key, OPTIONS},
    run, terminal,
};
use crate::agent::{self, config::Config};

/// The options of `netwatch run` that say where everything is.
const RELEVANT: [Key; 3] = [Key::PinDir, Key::StateDir, Key::Socket];
const DETACH: &str = "detach";
/// An agent that has not ended by then is stuck.
const PATIENCE: Duration = Duration::from_secs(30);

const EXAMPLES: &str = "\
Examples:
  netwatch stop
      end the agent; what counts in the kernel counts on for the next one
  netwatch stop --detach
      end it, if one runs, and leave nothing behind, not even of one that was
      killed

Exit codes: 0 done, 1 no agent runs or it did not end, 3 it is not ours to end.";

/// `netwatch stop`.
pub(super) fn command() -> Command {
    let stop = Command::new("stop")
        .about("End the agent that runs on this host")
        .after_help("Examples and details: netwatch stop --help")
        .after_long_help(EXAMPLES)
        .arg(
            Arg::new(DETACH)
                .long(DETACH)
                .action(ArgAction::SetTrue)
                .help("Take away everything that counts in the kernel too"),
        );
    OPTIONS
        .iter()
        .filter(|spec| RELEVANT.contains(&spec.key))
        .fold(stop, |stop, spec| stop.arg(command::argument(spec)))
        .arg(command::config())
}

/// Runs the subcommand.
pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let config = check::check(&run::merge(matches)?)?.config;
    let detach = matches.get_flag(DETACH);
    let socket = config.socket.as_ref().map(|socket| socket.path.clone());
    let agent = socket.as_deref().map(agent).transpose()?.flatten();
    match (agent, detach) {
        (Some(agent), _) => {
            end(agent, if detach { Signal::TERM } else { Signal::USR2 })?;
            terminal::note(if agent::has_left(&config) {
                "the agent has ended; what counts in the kernel counts on for the next one"
            } else {
                "the agent has ended, and nothing counts any more"
            });
            Ok(())
        }
        (None, true) => remove(&config),
        (None, false) => Err(no_agent(socket)),
    }
}

fn no_agent(socket: Option<PathBuf>) -> Failure {
    let place =
        socket.map_or("a socket that is not configured".into(), |path| path.display().to_string());
    Failure::new(Exit::Failed, format!("no agent answers at {place}"))
        .hint("name its socket with --socket; or add --detach to remove what one that was killed has left")
}

/// What an agent that is gone has left.
fn remove(config: &Config) -> Result<(), Failure> {
    let removed = agent::forget(config).map_err(|error| run::failure(&error))?;
    terminal::note(if removed {
        "no agent runs; what an earlier one had left counting is removed"
    } else {
        "no agent runs, and there is nothing to remove"
    });
    Ok(())
}

/// The process at the other end of the socket.
fn agent(socket: &Path) -> Result<Option<Pid>, Failure> {
    match UnixStream::connect(socket) {
        Ok(stream) => match socket_peercred(&stream) {
            Ok(peer) => Ok(Some(peer.pid)),
            Err(error) => Err(Failure::caused(Exit::Failed, &error)),
        },
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(not_permitted()),
        Err(_) => Ok(None),
    }
}

fn not_permitted() -> Failure {
    Failure::new(Exit::NotPermitted, "not permitted to end the agent")
        .hint("run it as root, or as the agent's user")
}

/// Tells it to end, and waits until it has.
fn end(agent: Pid, signal: Signal) -> Result<(), Failure> {
    let fail = |error: rustix::io::Errno| match error {
        rustix::io::Errno::PERM => not_permitted(),
        error => {
            Failure::new(Exit::Failed, format!("ending the agent (process {agent:?}): {error}"))
        }
    };
    // The process itself, whoever gets its number later.
    let process = match pidfd_open(agent, PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        result => result.map_err(fail)?,
    };
    match pidfd_send_signal(&process, signal) {
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        result => result.map_err(fail)?,
    }
    let mut ended = [PollFd::new(&process, PollFlags::IN)];
    let patience = PATIENCE.try_into().map_err(|_| fail(rustix::io::Errno::INVAL))?;
    match poll(&mut ended, Some(&patience)).map_err(fail)? {
        0 => Err(Failure::new(
            Exit::Failed,
            format!("the agent has not ended within {} s", PATIENCE.as_secs()),
        )
        .hint("look at its log; kill -9 ends it too, and counting goes on")),
        _ => Ok(()),
    }
}
