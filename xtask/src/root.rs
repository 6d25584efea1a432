//! Root rights: the one place that knows whether we have them and how to get them.

use std::process::Command;

use anyhow::Result;

use crate::{
    command::{command, find},
    refused::Refused,
};

/// How a privileged command is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// We are root.
    Here,
    /// Through sudo, which asks on the terminal where it must.
    Sudo,
}

impl Root {
    /// Finds a way to run things as root, or says what is missing. `what` completes "… needs root".
    pub(crate) fn find(what: &str) -> Result<Self> {
        if is_root() {
            Ok(Self::Here)
        } else if find("sudo").is_some() {
            Ok(Self::Sudo)
        } else {
            Err(Refused::new(
                format!("{what} needs root, and there is no sudo here"),
                "run it as root",
            )
            .into())
        }
    }

    /// A command that will run as root, with our environment.
    pub(crate) fn command(self, program: &str) -> Command {
        match self {
            Self::Here => command(program),
            Self::Sudo => {
                let mut command = command("sudo");
                command.args(["-E", program]);
                command
            }
        }
    }
}

/// Whether this process has root's rights.
pub(crate) fn is_root() -> bool {
    effective_user() == 0
}

#[expect(unsafe_code, reason = "std does not tell the user id")]
fn effective_user() -> u32 {
    // SAFETY: geteuid always succeeds and touches no memory.
    unsafe { libc::geteuid() }
}
