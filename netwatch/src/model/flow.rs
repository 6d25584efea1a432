//! Flows as they are observed: keys, sides, readings.

use std::{
    hash::{Hash, Hasher},
    net::IpAddr,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{Instant, Mac, Protocol, Tally};

/// An address with a port (for ICMP echo: the identifier).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Socket {
    /// Address; IPv4 addresses are `V4`, never mapped.
    pub address: IpAddr,
    /// Port, 0 where the protocol has none.
    pub port: u16,
}

/// A conversation: two ends in canonical order (`low <= high`) and a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
        let (low, high) = if one <= other { (one, other) } else { (other, one) };
        Self { low, high, protocol }
    }

    /// The key of what was observed.
    pub fn of(observation: &Observation) -> Self {
        Self::new(observation.local, observation.remote, observation.protocol)
    }
}

impl Hash for FlowKey {
    /// In one piece: each observation is looked up, and what is derived would hash every field by itself.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let octets = |end: &Socket| match end.address {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        };
        let ports = [self.low.port, self.high.port, self.protocol.0, 0].map(u16::to_ne_bytes);
        let mut bytes = [0; 40];
        let (addresses, rest) = bytes.split_at_mut(32);
        addresses.copy_from_slice([&self.low, &self.high].map(octets).as_flattened());
        rest.copy_from_slice(ports.as_flattened());
        state.write(&bytes);
    }
}

/// The hook that saw a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// Of the first packet: the TCP flags, the ICMP type or the ARP operation.
    pub opened_by: u8,
    /// TCP: what was sent again or came late, since the previous reading.
    pub repairs: Repairs,
    /// How the packets of the entry were.
    pub traits: Traits,
}

/// TCP segments that something had gone wrong with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repairs {
    /// Segments whose bytes the hook had seen before.
    pub retransmitted: u64,
    /// Segments that came after later ones: overtaken, or lost before the hook and sent again.
    pub out_of_order: u64,
}

impl Repairs {
    /// The larger of two counts of the same packets.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            retransmitted: self.retransmitted.max(other.retransmitted),
            out_of_order: self.out_of_order.max(other.out_of_order),
        }
    }
}

impl std::ops::AddAssign for Repairs {
    fn add_assign(&mut self, other: Self) {
        self.retransmitted += other.retransmitted;
        self.out_of_order += other.out_of_order;
    }
}

/// How the packets of one direction were, apart from how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traits {
    /// Bytes of the largest packet on the wire, Ethernet header included; 65,535 = that or more; 0 = no packet.
    pub largest: u16,
    /// Smallest time to live (hop limit).
    pub ttl_min: u8,
    /// Largest time to live (hop limit).
    pub ttl_max: u8,
    /// Differentiated services code point of the last packet (RFC 2474).
    pub dscp: u8,
    /// A bit for each ECN codepoint that was seen, by its number (RFC 3168, section 5).
    pub ecn: u8,
    /// TCP: a window of zero was announced.
    pub zero_window: bool,
}

impl Traits {
    /// Takes up what another hook or CPU has seen of the same direction.
    pub fn merge(&mut self, other: Self) {
        if other.largest == 0 {
            return;
        }
        if self.largest == 0 {
            *self = other;
            return;
        }
        self.largest = self.largest.max(other.largest);
        self.ttl_min = self.ttl_min.min(other.ttl_min);
        self.ttl_max = self.ttl_max.max(other.ttl_max);
        self.dscp = other.dscp;
        self.ecn |= other.ecn;
        self.zero_window |= other.zero_window;
    }
}

/// How long the two ends took to set up a TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handshake {
    /// From the first SYN to the SYN-ACK, at the hook nearest the client: what the client waited.
    pub answered: Duration,
    /// The server's share of that: from SYN to SYN-ACK at the hook nearest the server.
    pub server: Duration,
    /// From the SYN-ACK to the client's ACK, at the hook nearest the client; `None` where that was not seen.
    pub client: Option<Duration>,
}

impl Handshake {
    /// The share of what lies between the two hooks.
    pub fn network(&self) -> Duration {
        self.answered.saturating_sub(self.server)
    }
}

/// ICMP echoes whose reply was timed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echoes {
    /// How many.
    pub timed: u64,
    /// Sum of their times.
    pub total: Duration,
}

impl Echoes {
    /// How long one took on average.
    pub fn mean(&self) -> Option<Duration> {
        let timed = u32::try_from(self.timed).ok().filter(|timed| *timed > 0)?;
        Some(self.total / timed)
    }
}

/// An ICMP error message that quoted a packet of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IcmpError {
    /// ICMP or ICMPv6 type.
    pub kind: u8,
    /// Its code.
    pub code: u8,
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
    /// The packets were inside a tunnel, whose flow has counted them already.
    pub is_inner: bool,
    /// local → remote.
    pub ingress: SideReading,
    /// remote → local.
    pub egress: SideReading,
    /// First reading of this entry: a SYN in it opens a connection of its own.
    pub fresh: bool,
    /// TCP: when the ACK of the SYN-ACK passed.
    pub acknowledged: Option<Instant>,
    /// ICMP echoes timed since the previous reading.
    pub echoes: Echoes,
    /// The last error message about one of its packets.
    pub error: Option<IcmpError>,
    /// Source address of the Ethernet frame that opened the entry, and at which hook.
    pub source_mac: Option<(Mac, EntrySide)>,
}

impl Observation {
    /// When the first packet passed, as far as is known.
    pub fn began(&self) -> Option<Instant> {
        self.sides().filter_map(|side| side.first.or(side.last)).min()
    }

    /// When it has a place among others of the same ports. What is new in an entry that was read before came after its beginning,
    /// and may be of another connection.
    pub fn turn(&self) -> Option<Instant> {
        if self.fresh { self.began() } else { self.sides().filter_map(|side| side.last).max() }
    }

    /// Those on which something has passed.
    fn sides(&self) -> impl Iterator<Item = &SideReading> {
        [&self.ingress, &self.egress].into_iter().filter(|side| !side.new.is_zero())
    }
}

/// What one observation point has seen of one direction of a flow, in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
