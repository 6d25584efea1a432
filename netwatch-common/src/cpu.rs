//! What each CPU keeps for itself.

/// State of one CPU, beside what its programs count at interfaces and in flows: nothing that an ordinary packet needs.
///
/// Its programs write it; the agent reads it, and writes the settings at its head and what it has given through a shared mapping.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuState {
    /// Setting: one packet in this many is sampled; 0 turns sampling off.
    pub sample_rate: u32,
    /// Setting: bytes of the packet that a sample carries at most; up to [`crate::sample::SAMPLE_BYTES`].
    pub sample_length: u32,
    /// Samples written to the ring.
    pub samples: u64,
    /// Samples that found the ring full. The packet itself was counted all the same.
    pub samples_lost: u64,
    /// Flow entries written to the ring because another flow needed their place.
    pub evictions: u64,
    /// Packets inside tunnels that could not be counted in a flow of their own; the tunnel's flow has them.
    pub inner_lost: u64,
    /// DNS messages written to the ring.
    pub messages: u64,
    /// DNS messages beyond the rate of their interface.
    pub messages_over_rate: u64,
    /// DNS messages that found the ring full.
    pub messages_lost: u64,
    /// Entries that this CPU has taken out of its reserve, in all. It wraps.
    pub taken: u32,
    /// Entries that the agent has put in, in all. It wraps, and is never behind.
    pub given: u32,
    /// Line of the index behind which an entry that has to give way was last looked for.
    pub hand: u32,
    /// Explicit padding.
    pub pad: [u32; 13],
}

const _: () = assert!(size_of::<CpuState>() == 128 && align_of::<CpuState>() == 64);
