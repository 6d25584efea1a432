//! The interface table and its counters.

use core::ops::Add;

use crate::{config::INTERFACE_WAYS, flow::Tally};

/// One direction of an interface: the socket buffers that passed, and what makes more of them on the wire.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterfaceHalf {
    /// Socket buffers (skbs): packets in the sense of `ip -s link`.
    pub packets: u64,
    /// Sum of `skb->len` from the Ethernet header on: bytes in the sense of `ip -s link`, for a veth.
    pub skb_bytes: u64,
    /// Segments beyond one per skb (GSO).
    pub more_segments: u64,
    /// Bytes beyond `skb_bytes`: headers that segmentation repeats, VLAN tags that are kept beside the packet.
    pub more_bytes: u64,
}

impl InterfaceHalf {
    /// The same in the units of flows.
    pub const fn tally(&self) -> Tally {
        Tally {
            packets: self.packets,
            segments: self.packets + self.more_segments,
            bytes: self.skb_bytes + self.more_bytes,
        }
    }
}

impl Add for InterfaceHalf {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            packets: self.packets + other.packets,
            skb_bytes: self.skb_bytes + other.skb_bytes,
            more_segments: self.more_segments + other.more_segments,
            more_bytes: self.more_bytes + other.more_bytes,
        }
    }
}

/// Counters of one interface on one CPU.
///
/// The agent writes `ifindex` on every CPU when it attaches, and 0 to `sample_countdown` when it changes the rate; the
/// programs write the rest. The slot of an interface is
/// `set * INTERFACE_WAYS + way`, where `set` is the ifindex modulo [`crate::config::INTERFACE_SETS`]: one look-up, without a hash,
/// finds out whose counters these are and the counters themselves.
///
/// Behind the sections of the CPUs is one of the agent's: whose slot it is or was last, and what it had counted before.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterfaceCounters {
    /// The interface in this slot; 0 = free (the kernel never gives out index 0).
    pub ifindex: u32,
    /// Packets until the next sample is due at this interface on this CPU; 0 = not drawn yet.
    pub sample_countdown: u32,
    /// Seen at the ingress hook: what the interface received.
    pub ingress: InterfaceHalf,
    /// Seen at the egress hook: what the interface transmitted.
    pub egress: InterfaceHalf,
}

const _: () = assert!(size_of::<InterfaceCounters>() == 72 && align_of::<InterfaceCounters>() == 8);

/// The slots whose interfaces have the same ifindex modulo [`crate::config::INTERFACE_SETS`].
pub type InterfaceSet = [InterfaceCounters; INTERFACE_WAYS as usize];
