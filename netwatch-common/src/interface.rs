//! The interface table and its counters.

use crate::flow::Tally;

/// One direction of an interface.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterfaceHalf {
    /// skbs, segments, wire bytes.
    pub tally: Tally,
    /// Sum of `skb->len` from the Ethernet header on: what `ip -s link` counts for a veth.
    pub skb_bytes: u64,
}

/// Counters of one interface on one CPU.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterfaceCounters {
    /// Seen at the ingress hook: what the interface received.
    pub ingress: InterfaceHalf,
    /// Seen at the egress hook: what the interface transmitted.
    pub egress: InterfaceHalf,
}

const _: () =
    assert!(size_of::<InterfaceCounters>() == 64 && align_of::<InterfaceCounters>() == 64);

/// A place of the interface table, written by the agent when it attaches.
///
/// The slot of an interface is `set * INTERFACE_WAYS + way`, where `set` is the ifindex modulo `INTERFACE_SETS`: a
/// lookup without a hash and without a helper call.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterfaceEntry {
    /// The interface in this slot; 0 = free (the kernel never gives out index 0).
    pub ifindex: u32,
    /// Explicit padding: the kernel lays array elements out in steps of eight bytes.
    pub pad: u32,
}

const _: () = assert!(size_of::<InterfaceEntry>() == 8 && align_of::<InterfaceEntry>() == 4);
