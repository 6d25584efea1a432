//! Every map, its size and why.
//!
//! Arrays are memory-mappable (`BPF_F_MMAPABLE`, Linux 5.5), so that the agent reads and writes them without a system
//! call, and per-CPU ones are laid out by hand as one section per CPU: a look-up in a plain array is inlined by the
//! verifier, on every kernel. The agent sets all sizes that depend on the host when it loads the object.

use aya_ebpf::{
    Global,
    btf_maps::{Array, LruHashMap, PerCpuArray, RingBuf},
    macros::btf_map,
};
use netwatch_common::{
    config::{DEFAULT_CPUS, DEFAULT_FLOW_ENTRIES, FLOW_WAYS, INTERFACE_SETS},
    cpu::CpuState,
    flow::{FlowSet, Tally},
    interface::InterfaceSet,
    outcome::OUTCOME_STRIDE,
};

const MMAPABLE: usize = 1 << 10;
const DEFAULT_FLOW_SETS: u32 = DEFAULT_FLOW_ENTRIES / DEFAULT_CPUS / FLOW_WAYS;

/// Sets of the flow table on each CPU.
#[unsafe(no_mangle)]
pub static FLOW_SETS: Global<u32> = Global::new(DEFAULT_FLOW_SETS);

/// Makes the placing of flows in sets unpredictable, so that nobody can aim at one set. Odd numbers, drawn at each start.
#[unsafe(no_mangle)]
pub static HASH_SEEDS: Global<[u64; crate::flow::WORDS]> = Global::new([1; crate::flow::WORDS]);

/// One per CPU.
#[btf_map]
pub static CPUS: Array<CpuState, { DEFAULT_CPUS as usize }, MMAPABLE> = Array::new();

/// Per CPU a section of `OUTCOME_STRIDE` counters, indexed by outcome.
#[btf_map]
pub static OUTCOMES: Array<Tally, { (DEFAULT_CPUS * OUTCOME_STRIDE) as usize }, MMAPABLE> =
    Array::new();

/// Per CPU a section of `INTERFACE_SETS` sets of counters.
#[btf_map]
pub static INTERFACES: Array<InterfaceSet, { (DEFAULT_CPUS * INTERFACE_SETS) as usize }, MMAPABLE> =
    Array::new();

/// Per CPU a section of `FLOW_SETS` sets of entries.
#[btf_map]
pub static FLOWS: Array<FlowSet, { (DEFAULT_CPUS * DEFAULT_FLOW_SETS) as usize }, MMAPABLE> =
    Array::new();

// Rings are declared without a value type: libbpf refuses one whose size is not the 0 that a ring must state.

/// [`netwatch_common::flow::EvictedFlow`]s, that had to give way: room for about 20,000 of them between two visits of the agent.
#[btf_map]
pub static EVICTED: RingBuf<(), { 4 << 20 }> = RingBuf::new();

/// [`netwatch_common::sample::Sample`]s. They have a ring of their own, so that they never crowd out flows.
#[btf_map]
pub static SAMPLES: RingBuf<(), { 1 << 20 }> = RingBuf::new();

/// The ports of first fragments.
#[btf_map]
pub static FRAGMENTS: LruHashMap<crate::fragments::Key, crate::fragments::First, 4096> =
    LruHashMap::new();

/// Room to parse a packet that is not parsed in place.
#[btf_map]
pub static SCRATCH: PerCpuArray<crate::skb::Scratch, 1> = PerCpuArray::new();
