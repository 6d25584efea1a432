//! Packets that the kernel dropped: how they are counted, and how those that are told in detail go through the ring.
//!
//! Counts are exact per [`DropKey`]. Details (which flow a packet belonged to) are limited per CPU, see [`DropState`].

use crate::flow::Address;

/// A number that no reason has.
pub const NO_REASON: u32 = u32::MAX - 1;

/// The reason of a drop where the kernel passes none to the tracepoint (before Linux 5.17).
pub const NOT_TOLD: u32 = u32::MAX;

/// Identifier of the host's network namespace. The agent gives out others to those of containers.
pub const HOST: u32 = 0;

/// Reasons and places that are counted apart. What finds no room is in [`DropState::other`].
pub const DROP_KEYS: u32 = 4096;

/// Network namespaces of containers that can be observed at the same time.
pub const NAMESPACES: u32 = 4096;

/// What one detail takes of a CPU's credit: 1,000 details a second.
pub const DETAIL_COST_NS: u64 = 1_000_000;

/// The most credit that a CPU can have: a burst of 1,000 details.
pub const DETAIL_CREDIT_NS: u64 = 1_000 * DETAIL_COST_NS;

/// Why and where: what drops are counted by.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DropKey {
    /// The running kernel's `enum skb_drop_reason`, or [`NOT_TOLD`].
    pub reason: u32,
    /// [`HOST`], or the container's namespace.
    pub namespace: u32,
    /// The interface in the host's namespace; 0 in a container's, where any interface counts.
    pub ifindex: u32,
    /// Explicit padding.
    pub pad: u32,
}

const _: () = assert!(size_of::<DropKey>() == 16 && align_of::<DropKey>() == 4);

/// State that each CPU keeps for itself. Only the program writes it.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DropState {
    /// All drops that were counted. The agent looks at the counters when it has changed.
    pub counted: u64,
    /// Drops that found no room among the counters; part of `counted`.
    pub other: u64,
    /// Drops of IP packets whose flow was not told: beyond the limit, ring full, or headers that cannot be read.
    pub details_lost: u64,
    /// Credit for details, in nanoseconds: it grows with time up to [`DETAIL_CREDIT_NS`].
    pub credit_ns: u64,
    /// When the credit was last increased.
    pub refilled_ns: u64,
    /// Explicit padding up to a cache line, so that CPUs do not share one.
    pub pad: [u64; 3],
}

const _: () = assert!(size_of::<DropState>() == 64 && align_of::<DropState>() == 64);

/// One dropped packet of a flow.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DropRecord {
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// Source port, or the identifier of an ICMP echo, or 0.
    pub source_port: u16,
    /// The same of the destination.
    pub destination_port: u16,
    /// IP protocol number.
    pub protocol: u32,
    /// As in [`DropKey::reason`].
    pub reason: u32,
    /// As in [`DropKey::namespace`].
    pub namespace: u32,
    /// The interface, by its index in that namespace; 0 where the packet was at none.
    pub ifindex: u32,
    /// Explicit padding.
    pub pad_end: u32,
}

const _: () = assert!(size_of::<DropRecord>() == 56 && align_of::<DropRecord>() == 8);

/// What the program has to know of the running kernel, looked up by the agent in the kernel's BTF. Where the kernel has
/// what the program reads, in bytes from the beginning of each structure; and the numbers of some reasons.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelFacts {
    /// `sk_buff.dev`
    pub skb_dev: u32,
    /// `sk_buff.sk`
    pub skb_sk: u32,
    /// `sk_buff.skb_iif`
    pub skb_iif: u32,
    /// `sk_buff._skb_refdst`
    pub skb_dst: u32,
    /// `sk_buff.head`
    pub skb_head: u32,
    /// `sk_buff.tail`
    pub skb_tail: u32,
    /// `sk_buff.network_header`
    pub skb_network_header: u32,
    /// `sk_buff.protocol`
    pub skb_protocol: u32,
    /// `net_device.ifindex`
    pub device_ifindex: u32,
    /// `net_device.nd_net.net`
    pub device_net: u32,
    /// `sock.__sk_common.skc_net.net`
    pub sock_net: u32,
    /// `dst_entry.dev`
    pub dst_dev: u32,
    /// `net.ns.inum`
    pub net_inum: u32,
    /// Arguments of the tracepoint, a count: 2 before Linux 5.17, then 3 (with the reason), from 6.11 on 4 (with the
    /// receiving socket).
    pub arguments: u32,
    /// Reasons that stand for no drop: the packet had arrived in its socket's queue, or was used.
    pub arrived: [u32; 2],
    /// Reasons that say nothing of the flow: counted, but not told. The kernel has no word for them, or it was a copy that
    /// was flooded to an interface that it was not for.
    pub untold: [u32; 2],
}

const _: () = assert!(size_of::<KernelFacts>() == 72 && align_of::<KernelFacts>() == 4);
