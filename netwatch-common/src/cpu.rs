//! What each CPU keeps for itself.

/// State of one CPU, beside what its programs count at interfaces and in flows: nothing that an ordinary packet needs.
///
/// Its programs write it; the agent reads it, and writes the setting at its head through a shared mapping.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuState {
    /// Setting: one packet in this many is sampled; 0 turns sampling off.
    pub sample_rate: u32,
    /// Explicit padding.
    pub pad: u32,
    /// Samples written to the ring.
    pub samples: u64,
    /// Samples that found the ring full. The packet itself was counted all the same.
    pub samples_lost: u64,
    /// Flow entries written to the ring because another flow needed their place.
    pub evictions: u64,
    /// Packets inside tunnels that could not be counted in a flow of their own; the tunnel's flow has them.
    pub inner_lost: u64,
    /// Explicit padding up to a cache line, so that CPUs do not share one.
    pub pad_end: [u64; 3],
}

const _: () = assert!(size_of::<CpuState>() == 64 && align_of::<CpuState>() == 64);
