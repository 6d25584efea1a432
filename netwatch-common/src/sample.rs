//! A sampled packet, as it goes through the ring.

/// Bytes of the packet that a sample carries at most.
pub const SAMPLE_BYTES: usize = 128;

/// The hook that saw the packet: the interface received it.
pub const INGRESS: u8 = 0;
/// The hook that saw the packet: the interface transmits it.
pub const EGRESS: u8 = 1;

/// One packet in `rate`, with its first bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// `CLOCK_MONOTONIC` in nanoseconds.
    pub time_ns: u64,
    /// `skb->len`: bytes of the packet from the Ethernet header on.
    pub len: u32,
    /// The interface.
    pub ifindex: u32,
    /// The rate in force when the sample was drawn: it stands for this many packets.
    pub rate: u32,
    /// How many of `bytes` are filled; see [`Sample::captured`].
    pub captured: u16,
    /// [`INGRESS`] or [`EGRESS`].
    pub hook: u8,
    /// Explicit padding.
    pub pad: u8,
    /// The first bytes of the packet.
    pub bytes: [u8; SAMPLE_BYTES],
}

impl Sample {
    /// The bytes that are filled.
    pub fn captured(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.captured)).unwrap_or(&self.bytes)
    }
}

const _: () = assert!(size_of::<Sample>() == 24 + SAMPLE_BYTES && align_of::<Sample>() == 8);
