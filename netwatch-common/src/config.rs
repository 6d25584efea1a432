//! Sizes and settings that both sides must agree on.

/// Version of every layout in this crate. Raise it with each change of a size, an offset or a meaning.
pub const ABI_VERSION: u32 = 5;

/// Entries of the interface table in one set; see [`crate::interface::InterfaceCounters`].
pub const INTERFACE_WAYS: u32 = 4;

/// Sets of the interface table. With four ways: 4,096 interfaces.
pub const INTERFACE_SETS: u32 = 1024;

/// Interfaces that can be observed at the same time.
pub const MAX_INTERFACES: u32 = INTERFACE_SETS * INTERFACE_WAYS;

/// Entries of the flow table if the loader does not say otherwise.
pub const DEFAULT_FLOW_ENTRIES: u32 = 1 << 17;

/// Places in a CPU's section of the index, as a power of two, if the loader does not say otherwise.
pub const DEFAULT_INDEX_BITS: u32 = 18;

/// Lines of the index that are looked through for an entry that can give way, where the flow's own line has none.
pub const INDEX_SWEEP: u32 = 32;

/// Entries that a CPU can hold in reserve for new flows if the loader does not say otherwise; a power of two.
pub const DEFAULT_RESERVE: u32 = 1 << 14;

/// CPUs that the maps have room for if the loader does not say otherwise.
pub const DEFAULT_CPUS: u32 = 2;

/// Name of the symbol in the object that holds [`ABI_VERSION`].
pub const ABI_SYMBOL: &str = "NETWATCH_ABI_VERSION";
