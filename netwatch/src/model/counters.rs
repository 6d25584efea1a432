//! Counts of packets, in the units of the ABI.

use std::ops::{Add, AddAssign, Sub};

use serde::{Deserialize, Serialize};

/// Packets counted in three units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Socket buffers (skbs); a GSO skb counts once.
    pub packets: u64,
    /// Packets on the wire.
    pub segments: u64,
    /// Bytes on the wire, Ethernet header included.
    pub bytes: u64,
}

impl Tally {
    /// No packet.
    pub const ZERO: Self = Self { packets: 0, segments: 0, bytes: 0 };

    /// Whether nothing was counted.
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// The larger of two counts of the same packets, unit by unit.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            packets: self.packets.max(other.packets),
            segments: self.segments.max(other.segments),
            bytes: self.bytes.max(other.bytes),
        }
    }

    /// The smaller of two, unit by unit.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self {
            packets: self.packets.min(other.packets),
            segments: self.segments.min(other.segments),
            bytes: self.bytes.min(other.bytes),
        }
    }

    /// What came since `earlier`; zero where `earlier` is larger.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            packets: self.packets.saturating_sub(earlier.packets),
            segments: self.segments.saturating_sub(earlier.segments),
            bytes: self.bytes.saturating_sub(earlier.bytes),
        }
    }
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            packets: self.packets + other.packets,
            segments: self.segments + other.segments,
            bytes: self.bytes + other.bytes,
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// One direction of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceTally {
    /// skbs, segments and wire bytes.
    pub tally: Tally,
    /// Bytes as the kernel's own counter has them (`ip -s link`): one header per skb.
    pub link_bytes: u64,
}

impl Add for InterfaceTally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { tally: self.tally + other.tally, link_bytes: self.link_bytes + other.link_bytes }
    }
}

impl Sub for InterfaceTally {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            tally: self.tally.since(earlier.tally),
            link_bytes: self.link_bytes.saturating_sub(earlier.link_bytes),
        }
    }
}

/// Both directions of an interface, from the interface's side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceCounters {
    /// Ingress hook: on a host veth, what the container sent.
    pub receive: InterfaceTally,
    /// Egress hook: on a host veth, what the container was sent.
    pub transmit: InterfaceTally,
}

impl Add for InterfaceCounters {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { receive: self.receive + other.receive, transmit: self.transmit + other.transmit }
    }
}

impl Sub for InterfaceCounters {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self { receive: self.receive - earlier.receive, transmit: self.transmit - earlier.transmit }
    }
}
