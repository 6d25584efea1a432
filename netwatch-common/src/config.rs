//! Sizes and settings that both sides must agree on.

/// Version of every layout in this crate. Raise it with each change of a size, an offset or a meaning.
pub const ABI_VERSION: u32 = 2;

/// Entries of the flow table in one set. A flow can stand in any of the entries of its set.
pub const FLOW_WAYS: u32 = 4;

/// Entries of the interface table in one set; see [`crate::interface::InterfaceEntry`].
pub const INTERFACE_WAYS: u32 = 4;

/// Sets of the interface table. With four ways: 4,096 interfaces.
pub const INTERFACE_SETS: u32 = 1024;

/// Interfaces that can be observed at the same time.
pub const MAX_INTERFACES: u32 = INTERFACE_SETS * INTERFACE_WAYS;

/// Entries of the flow table if the loader does not say otherwise.
pub const DEFAULT_FLOW_ENTRIES: u32 = 1 << 17;

/// CPUs that the maps have room for if the loader does not say otherwise.
pub const DEFAULT_CPUS: u32 = 2;

/// Name of the symbol in the object that holds [`ABI_VERSION`].
pub const ABI_SYMBOL: &str = "NETWATCH_ABI_VERSION";

/// Settings that the agent may change while the programs run. The agent writes them through a shared mapping, the
/// programs only read them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// A recent `CLOCK_MONOTONIC` in nanoseconds. It spares the programs a clock read per packet (about 50 ns with
    /// `bpf_ktime_get_ns`); both sides refresh it.
    pub clock_ns: u64,
    /// One packet in this many is sampled; 0 turns sampling off.
    pub sample_rate: u32,
    /// Bytes of the packet that a sample carries at most; up to [`crate::sample::SAMPLE_BYTES`].
    pub sample_length: u32,
}

const _: () = assert!(size_of::<Settings>() == 16 && align_of::<Settings>() == 8);

/// State that each CPU keeps for itself. Only the programs write it.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuState {
    /// Samples written to the ring.
    pub samples: u64,
    /// Samples that found the ring full. The packet itself was counted all the same.
    pub samples_lost: u64,
    /// Flow entries written to the ring because another flow needed their place.
    pub evictions: u64,
    /// Packets until the next sample is due on this CPU; 0 = not drawn yet.
    pub sample_countdown: u32,
    /// The rate that `sample_countdown` was drawn for.
    pub sample_rate: u32,
    /// DNS messages written to the ring.
    pub messages: u64,
    /// DNS messages beyond the rate of their interface.
    pub messages_over_rate: u64,
    /// DNS messages that found the ring full.
    pub messages_lost: u64,
    /// Explicit padding up to a cache line, so that CPUs do not share one.
    pub pad: [u32; 2],
}

const _: () = assert!(size_of::<CpuState>() == 64 && align_of::<CpuState>() == 64);
