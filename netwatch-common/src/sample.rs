//! A sampled packet, as it goes through the ring.

/// Bytes of the packet that a sample can carry at most: room for every header chain that the parser follows.
pub const SAMPLE_BYTES: u16 = 512;

/// The largest rate. Distances up to twice as long are drawn, which have to fit 32 bits.
pub const MOST_SAMPLE_RATE: u32 = 1 << 30;

/// The hook that saw the packet: the interface received it.
pub const INGRESS: u8 = 0;
/// The hook that saw the packet: the interface transmits it.
pub const EGRESS: u8 = 1;

/// One packet in `rate`. In the ring its first bytes follow, as many as the agent asked for and the packet has.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// `CLOCK_MONOTONIC` in nanoseconds, exact.
    pub time_ns: u64,
    /// `skb->len`: bytes of the packet from the Ethernet header on.
    pub len: u32,
    /// Bytes of the packets that it is on the wire, with the headers that segmentation repeats.
    pub wire_len: u32,
    /// Packets that it is on the wire.
    pub segments: u32,
    /// Bytes behind the headers of each of them but the last (`gso_size`); 0 for a packet that stays one.
    pub gso_size: u32,
    /// The interface.
    pub ifindex: u32,
    /// The rate in force when the sample was drawn: it stands for this many packets.
    pub rate: u32,
    /// [`INGRESS`] or [`EGRESS`].
    pub hook: u32,
    /// Explicit padding.
    pub pad: u32,
}

const _: () = assert!(size_of::<Sample>() == 40 && align_of::<Sample>() == 8);
