//! Every map, its size and why.
//!
//! Arrays are memory-mappable (`BPF_F_MMAPABLE`, Linux 5.5), so that the agent reads and writes them without a system
//! call, and per-CPU ones are laid out by hand as one section per CPU: a look-up in a plain array is inlined by the
//! verifier, on every kernel. The agent sets all sizes that depend on the host when it loads the object.

use aya_ebpf::{
    Global,
    btf_maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, PerCpuHashMap, RingBuf},
    macros::btf_map,
};
use netwatch_common::{
    config::{
        DEFAULT_CPUS, DEFAULT_FLOW_ENTRIES, DEFAULT_INDEX_BITS, DEFAULT_RESERVE, INTERFACE_SETS,
        MAX_INTERFACES,
    },
    cpu::CpuState,
    drop::{DROP_KEYS, DropKey, DropState, KernelFacts, NAMESPACES as MAX_NAMESPACES, NO_REASON},
    filter::{FILTER_WORDS, NetworkKey},
    flow::{FlowEntry, Tally, WORDS},
    header::Header,
    index::{Line, WAYS},
    interface::InterfaceSet,
    outcome::OUTCOME_STRIDE,
};

const MMAPABLE: usize = 1 << 10;
const DEFAULT_INDEX_LINES: u32 = (1 << DEFAULT_INDEX_BITS) / WAYS;

/// Lines of the index on each CPU: a power of two.
#[unsafe(no_mangle)]
pub static INDEX_LINES: Global<u32> = Global::new(DEFAULT_INDEX_LINES);

/// How far a hash is shifted to be a place among these; see [`netwatch_common::index::home`].
#[unsafe(no_mangle)]
pub static INDEX_SHIFT: Global<u32> = Global::new(32 - DEFAULT_INDEX_BITS);

/// Entries that have room in the reserve of each CPU: a power of two.
#[unsafe(no_mangle)]
pub static RESERVE_ENTRIES: Global<u32> = Global::new(DEFAULT_RESERVE);

/// Makes the placing of flows in lines unpredictable, so that nobody can aim at one line. Odd numbers, drawn at each start.
#[unsafe(no_mangle)]
pub static HASH_SEEDS: Global<[u64; WORDS]> = Global::new([1; WORDS]);

/// Which filters there are ([`netwatch_common::filter`]). A constant to the verifier: it removes what is not asked for.
#[unsafe(no_mangle)]
pub static FILTERS: Global<u32> = Global::new(0);

/// Nanoseconds for each DNS message of an interface on one CPU; 0 = none are read.
#[unsafe(no_mangle)]
pub static MESSAGE_INTERVAL_NS: Global<u64> = Global::new(0);

/// Written and read by agents only, and kept for the next one.
#[btf_map]
pub static HEADER: Array<Header, 1, MMAPABLE> = Array::new();

/// One per CPU.
#[btf_map]
pub static CPUS: Array<CpuState, { DEFAULT_CPUS as usize }, MMAPABLE> = Array::new();

/// Per CPU a section of `OUTCOME_STRIDE` counters, indexed by outcome.
#[btf_map]
pub static OUTCOMES: Array<Tally, { (DEFAULT_CPUS * OUTCOME_STRIDE) as usize }, MMAPABLE> =
    Array::new();

/// Per CPU a section of `INTERFACE_SETS` sets of counters, and one of the agent's.
#[btf_map]
pub static INTERFACES: Array<
    InterfaceSet,
    { ((DEFAULT_CPUS + 1) * INTERFACE_SETS) as usize },
    MMAPABLE,
> = Array::new();

/// The pool of entries, of all CPUs. The first is never used.
#[btf_map]
pub static FLOWS: Array<FlowEntry, { DEFAULT_FLOW_ENTRIES as usize }, MMAPABLE> = Array::new();

/// Per CPU a section of `INDEX_LINES` lines.
#[btf_map]
pub static INDEX: Array<Line, { (DEFAULT_CPUS * DEFAULT_INDEX_LINES) as usize }, MMAPABLE> =
    Array::new();

/// Per CPU a section of `RESERVE_ENTRIES` numbers of entries for new flows: a ring that the agent fills and the CPU empties.
#[btf_map]
pub static RESERVE: Array<u64, { (DEFAULT_CPUS * DEFAULT_RESERVE) as usize }, MMAPABLE> =
    Array::new();

// Rings are declared without a value type: libbpf refuses one whose size is not the 0 that a ring must state.

/// [`netwatch_common::flow::EvictedFlow`]s, that had to give way: room for about 10,000 of them between two visits of the agent.
#[btf_map]
pub static EVICTED: RingBuf<(), { 2 << 20 }> = RingBuf::new();

/// [`netwatch_common::sample::Sample`]s, each with its bytes: room for some 1,500 of the usual length. They have a
/// ring of their own, so that they never crowd out flows.
#[btf_map]
pub static SAMPLES: RingBuf<(), { 256 << 10 }> = RingBuf::new();

/// [`netwatch_common::message::Message`]s, each with its bytes: room for some 4,000 of the usual length.
#[btf_map]
pub static MESSAGES: RingBuf<(), { 512 << 10 }> = RingBuf::new();

/// Per CPU and slot: the time until which the messages of an interface have used up its rate.
#[btf_map]
pub static MESSAGE_RATES: Array<u64, { (DEFAULT_CPUS * MAX_INTERFACES) as usize }> = Array::new();

/// Where a record for one of these rings is put together.
#[btf_map]
pub static RECORD: PerCpuArray<[u64; crate::record::RECORD_WORDS], 1> = PerCpuArray::new();

/// Excluded ports and protocols, one bit each.
#[btf_map]
pub static EXCLUDED: Array<u64, { FILTER_WORDS as usize }, MMAPABLE> = Array::new();

/// Excluded networks of both families.
#[btf_map]
pub static EXCLUDED_NETWORKS: LpmTrie<NetworkKey, u32, 1> = LpmTrie::new();

/// The ports of first fragments.
#[btf_map]
pub static FRAGMENTS: LruHashMap<crate::fragments::Key, crate::fragments::First, 4096> =
    LruHashMap::new();

/// Room to parse a packet that is not parsed in place.
#[btf_map]
pub static SCRATCH: PerCpuArray<crate::skb::Scratch, 1> = PerCpuArray::new();

/// What the drop program has to know of the running kernel. Nothing where the agent does not load that program.
#[unsafe(no_mangle)]
pub static KERNEL: Global<KernelFacts> = Global::new(KernelFacts {
    skb_dev: 0,
    skb_sk: 0,
    skb_iif: 0,
    skb_dst: 0,
    skb_head: 0,
    skb_tail: 0,
    skb_network_header: 0,
    skb_protocol: 0,
    device_ifindex: 0,
    device_net: 0,
    sock_net: 0,
    dst_dev: 0,
    net_inum: 0,
    arguments: 0,
    arrived: [NO_REASON; 2],
    untold: [NO_REASON; 2],
});

/// Number of a network namespace (`net.ns.inum`, the inode of `/proc/PID/ns/net`) → the agent's identifier of it, for
/// those in which drops are observed.
#[btf_map]
pub static NAMESPACES: HashMap<u32, u32, { MAX_NAMESPACES as usize }> = HashMap::new();

/// Drops by reason and place. A hash map: keys are few, drops are rare, and the table is sparse.
#[btf_map]
pub static DROPS: PerCpuHashMap<DropKey, u64, { DROP_KEYS as usize }> = PerCpuHashMap::new();

/// One per CPU.
#[btf_map]
pub static DROP_STATES: Array<DropState, { DEFAULT_CPUS as usize }, MMAPABLE> = Array::new();

/// [`netwatch_common::drop::DropRecord`]s: room for 4,096 between two visits of the agent.
#[btf_map]
pub static DROP_RECORDS: RingBuf<(), { 256 << 10 }> = RingBuf::new();

/// Headers of a dropped packet. Not [`SCRATCH`]: a drop can interrupt the packet programs.
#[btf_map]
pub static DROP_SCRATCH: PerCpuArray<crate::skb::Scratch, 1> = PerCpuArray::new();
