//! Flows as they are observed: keys, sides, readings.

use std::net::IpAddr;

use super::{Instant, Protocol, Tally};

/// An address with a port (for ICMP echo: the identifier).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Socket {
    /// Address; IPv4 addresses are `V4`, never mapped.
    pub address: IpAddr,
    /// Port, 0 where the protocol has none.
    pub port: u16,
}

/// A conversation: two ends in canonical order (`low <= high`) and a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowKey {
    /// The smaller end.
    pub low: Socket,
    /// The larger end.
    pub high: Socket,
    /// Transport protocol.
    pub protocol: Protocol,
}

impl FlowKey {
    /// The key of packets between two ends, whichever way they go.
    pub fn new(one: Socket, other: Socket, protocol: Protocol) -> Self {
        Self { low: one.min(other), high: one.max(other), protocol }
    }
}

/// The hook that saw a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EntrySide {
    /// The interface received it.
    Ingress,
    /// The interface transmits it.
    Egress,
}

/// What one hook saw of one direction of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SideReading {
    /// Packets since the previous reading of the same entry.
    pub new: Tally,
    /// First packet; `None` where there is none, or where it was in an earlier reading.
    pub first: Option<Instant>,
    /// Last packet of the entry.
    pub last: Option<Instant>,
    /// All TCP flags seen by the entry.
    pub tcp_flags: u8,
    /// ICMP type of the first packet.
    pub icmp_type: u8,
}

/// What one interface saw of one flow since it was last read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The interface (observation point).
    pub ifindex: u32,
    /// The end that transmits into this interface: on a veth, the container's.
    pub local: Socket,
    /// The other end.
    pub remote: Socket,
    /// Transport protocol.
    pub protocol: Protocol,
    /// local → remote.
    pub ingress: SideReading,
    /// remote → local.
    pub egress: SideReading,
    /// First reading of this entry: a SYN in it opens a connection of its own.
    pub fresh: bool,
}

/// What one observation point has seen of one direction of a flow, in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The interface.
    pub ifindex: u32,
    /// The hook.
    pub side: EntrySide,
    /// Whether the packets went from the client to the server.
    pub from_client: bool,
    /// How many.
    pub tally: Tally,
}
