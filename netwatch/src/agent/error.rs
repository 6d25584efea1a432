//! Why the agent could not start.

use std::io;

use thiserror::Error;

use super::config::FlowLogTarget;
use crate::{datapath::DatapathError, identity::NetlinkError, serve::ServeError};

/// Why the agent could not start or go on.
#[derive(Debug, Error)]
pub enum AgentError {
    /// The kernel side.
    #[error(transparent)]
    Datapath(#[from] DatapathError),
    /// The HTTP side.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The host's interfaces.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// The flow log cannot be written.
    #[error("cannot open the flow log {target}: {source}")]
    FlowLog {
        /// The file.
        target: FlowLogTarget,
        /// Why.
        source: io::Error,
    },
    /// Our network namespace is not known.
    #[error("cannot find out which network namespace this is: {0}")]
    State(io::Error),
    /// What was written for the next agent stays.
    #[error("what was written for the next netwatch cannot be removed: {0}")]
    Forget(io::Error),
    /// Signals cannot be received.
    #[error("cannot listen for signals: {0}")]
    Signals(io::Error),
    /// `--interface` names one that is not there.
    #[error("no interface is called {name}; this host has {present}")]
    NoSuchInterface {
        /// The name.
        name: String,
        /// Those that there are.
        present: String,
    },
    /// The kernel's messages about interfaces ended.
    #[error("the kernel no longer tells of its interfaces")]
    LinksEnded,
}

impl AgentError {
    /// What the user can do about it.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Datapath(error) => error.remedy(),
            Self::FlowLog { source, .. } => Some(match source.kind() {
                io::ErrorKind::NotConnected => {
                    "start its reader first, or name another file with --flow-log"
                }
                _ => "create the directory, or name another file with --flow-log",
            }),
            Self::NoSuchInterface { .. } => Some(
                "correct --interface, or make it a pattern such as 'veth*' to wait for interfaces to come",
            ),
            _ => None,
        }
    }

    /// Whether it cannot work on this host, as opposed to having failed this time.
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::Datapath(error) if error.is_unsupported())
    }

    /// Whether the user asked for something that makes no sense here.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::NoSuchInterface { .. })
    }
}
