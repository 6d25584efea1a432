//! What the kernel tells of the host's interfaces, as it happens.
//!
//! Promises: subscribed before the first listing, so that nothing falls between; after a lost message everything is
//! listed again (a new `Snapshot`), and that is counted. Surprising answers are counted and skipped, never fatal.
//! Works from Linux 4.9 on (`IFLA_NEW_NETNSID`, an improvement only, from 5.4 on).

mod conntrack;
mod monitor;
mod namespace;
mod sockets;
mod table;
#[cfg(test)]
mod tests;
mod wire;

use std::{io, path::PathBuf, time::Instant};

pub use conntrack::{Connection, Conntrack, Tracked};
pub use monitor::{LinkCounters, LinkMonitor};
pub use namespace::{named_namespaces, namespace_id_of_path, namespace_id_of_pid, namespace_inode};
pub use sockets::connections_to;

use super::HostAddress;
use crate::model::{Container, Interface, Mac};

/// The device's own counters, from its side (`ip -s link`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Packets received: on a host veth, what the container sent.
    pub rx_packets: u64,
    /// Packets transmitted.
    pub tx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes transmitted.
    pub tx_bytes: u64,
}

/// A change of the host's interfaces.
#[derive(Clone, Debug)]
pub enum LinkEvent {
    /// All interfaces: at first, and again after messages were lost. What is not in it is gone.
    Snapshot(Vec<(Interface, LinkStats)>),
    /// A new interface, or a known one whose description changed.
    Changed {
        /// As it is now.
        interface: Interface,
        /// When the kernel's message was read.
        seen_at: Instant,
        /// Its counters when the kernel wrote the message.
        stats: LinkStats,
    },
    /// An interface was deleted, or moved to another network namespace.
    Gone {
        /// Its index.
        index: u32,
        /// Its last name.
        name: String,
    },
    /// All addresses of the host, after any change.
    Addresses(Vec<HostAddress>),
    /// All forwarding tables of bridges as (port, address behind it): at first, and again after messages were lost.
    Forwarding(Vec<(u32, Mac)>),
    /// A bridge learned or forgot where an address is.
    Neighbour {
        /// ifindex of the port.
        port: u32,
        /// The address behind it.
        mac: Mac,
        /// Learned, not forgotten.
        present: bool,
    },
    /// All named namespaces with their identifiers, after any change.
    Namespaces(Vec<(Container, i32)>),
    /// The kernel refused or broke off; the monitor tries again by itself. One sentence for the log.
    Failed(String),
}

/// Why the kernel could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// The socket could not be made or set up.
    #[error("cannot {action} a netlink route socket: {source}")]
    Socket {
        /// What was tried.
        action: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel answered with an error.
    #[error("the kernel refused {request}: {source}")]
    Refused {
        /// What was asked.
        request: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// A namespace's file cannot be opened.
    #[error("cannot open the network namespace {path}: {source}", path = path.display())]
    Namespace {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

fn socket_error(action: &'static str) -> impl FnOnce(io::Error) -> NetlinkError {
    move |source| NetlinkError::Socket { action, source }
}
