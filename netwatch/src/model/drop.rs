//! Packets that the kernel dropped.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Protocol, Socket};

/// Where a packet was, as the kernel side tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropSite {
    /// At an interface of the host.
    Host {
        /// Its index.
        ifindex: u32,
    },
    /// In the network namespace of a container.
    Inside {
        /// The identifier under which the namespace is observed.
        namespace: u32,
        /// The interface, by its index in there; 0 where the packet was at none or it does not matter.
        ifindex: u32,
    },
}

impl DropSite {
    /// The interface, by its index in its namespace; 0 for none.
    pub fn ifindex(self) -> u32 {
        match self {
            Self::Host { ifindex } | Self::Inside { ifindex, .. } => ifindex,
        }
    }
}

/// Drops since the last reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropCount {
    /// Why: the kernel's word.
    pub reason: Arc<str>,
    /// Where; `None` for those beyond what is counted apart.
    pub site: Option<DropSite>,
    /// How many packets, as the kernel counts them.
    pub packets: u64,
}

/// One packet that was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedPacket {
    /// Who sent it.
    pub source: Socket,
    /// Whom it was for.
    pub destination: Socket,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Why: the kernel's word.
    pub reason: Arc<str>,
    /// Where.
    pub site: DropSite,
}

/// Where packets were dropped, named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DropPlace {
    /// At an interface of the host.
    Interface(Arc<str>),
    /// In the network namespace of a container.
    Inside(Arc<str>),
}

impl fmt::Display for DropPlace {
    /// `veth12ab`, `in:web`: no name of an interface has a colon (`dev_valid_name`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interface(name) => f.write_str(name),
            Self::Inside(container) => write!(f, "in:{container}"),
        }
    }
}

/// Packets of a flow that were dropped for one reason at one place, as far as they were told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowDrop {
    /// Why: the kernel's word.
    pub reason: Arc<str>,
    /// Where.
    pub place: DropPlace,
    /// The interface, by its index in its namespace; 0 for none.
    pub ifindex: u32,
    /// Whether the packets went from the client to the server.
    pub from_client: bool,
    /// How many.
    pub packets: u64,
}

/// All packets that were dropped for one reason at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropTotal {
    /// The container in whose namespace or at whose veth it was; empty for none.
    pub container: Arc<str>,
    /// Why: the kernel's word.
    pub reason: Arc<str>,
    /// Where: a word of few, or the name of an interface that is no veth.
    pub place: Arc<str>,
    /// How many, as the kernel counts them.
    pub packets: u64,
}

/// Packets of a flow that were sent and did not arrive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undelivered {
    /// Packets on the wire that the server was not handed.
    pub from_client: u64,
    /// Packets on the wire that the client was not handed.
    pub from_server: u64,
    /// The bridge in which they went missing: in front of the receiver's veth. `None` where it has none.
    pub place: Option<String>,
}
