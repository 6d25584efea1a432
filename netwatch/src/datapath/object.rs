//! The compiled programs: which of the two objects, its version, its sizes on this host.

use std::{
    array,
    hash::{BuildHasher, Hasher, RandomState},
    os::fd::AsFd,
    path::PathBuf,
    time::Duration,
};

use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, Map, MapData, RingBuf},
    programs::{ProgramError, ProgramType, SchedClassifier},
};
use netwatch_common::{
    ABI_VERSION,
    config::{ABI_SYMBOL, INTERFACE_SETS, MAX_INTERFACES},
    cpu::CpuState,
    drop::{DROP_KEYS, DropKey, DropState, KernelFacts, NAMESPACES},
    filter::FILTER_WORDS,
    flow::{FlowEntry, Tally, WORDS},
    header::Header,
    index::Line,
    interface::InterfaceSet,
    message::MESSAGE_BURST_NS,
    outcome::OUTCOME_STRIDE,
};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
use tracing::warn;

use super::{
    AttachMode, DatapathError,
    abi::Abi,
    filter, grace,
    pins::{MAPS, Pins, namespace_cookie},
    pool::Sizes,
    rights,
    ring_buffer::Ring,
    shadow::Bookmark,
    shared::{Plain, SharedArray},
};
use crate::model::Exclusion;

/// The programs by their names in the object, and the label of each in metrics.
pub(super) const PROGRAMS: [(&str, &str); 2] =
    [(INGRESS_PROGRAM, "ingress"), (EGRESS_PROGRAM, "egress")];
/// Program at the ingress hook.
pub(super) const INGRESS_PROGRAM: &str = "netwatch_ingress";
/// Program at the egress hook.
pub(super) const EGRESS_PROGRAM: &str = "netwatch_egress";
/// Program at the `kfree_skb` tracepoint, which the kernel may refuse.
pub(super) const DROP_PROGRAM: &str = "netwatch_drop";

const RING_BYTES: u64 = (2 << 20) + (256 << 10) + (512 << 10) + (256 << 10);

pub(super) static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/netwatch-ebpf"));
pub(super) static OBJECT_WITH_MESSAGES: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/netwatch-ebpf.log"));

/// How to load the programs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Entries of the flow table on this host, all CPUs together.
    pub flow_entries: u32,
    /// One packet in this many is sampled; 0 = off.
    pub sample_rate: u32,
    /// Bytes of a packet that a sample carries at most.
    pub sample_length: u16,
    /// DNS messages that are read per second, interface and CPU; 0 = none.
    pub dns_rate: u32,
    /// Packets that are counted at their interface only.
    pub exclusion: Exclusion,
    /// How to attach.
    pub attach_mode: AttachMode,
    /// Load the object whose programs write messages.
    pub messages: bool,
    /// Where what counts stays when the agent ends without taking it away; `None`: nowhere.
    pub pins: Option<PathBuf>,
    /// The kernel side that an agent before this one has left, as far as we know of it.
    pub inheritance: Option<Inheritance>,
}

/// A kernel side that can be gone on with.
#[derive(Clone, Debug, Default)]
pub struct Inheritance {
    /// Which one; see [`super::Datapath::id`].
    pub id: u64,
    /// What had been read of it; see [`super::Datapath::bookmark`].
    pub bookmark: Bookmark,
}

pub(super) struct Loaded {
    pub(super) ebpf: Ebpf,
    pub(super) cpus: u32,
    pub(super) sizes: Sizes,
    pub(super) header: Header,
    /// Whether maps and links were there already.
    pub(super) inherited: bool,
}

/// Whether the object, our rights and the kernel are what it takes to load it.
pub(super) fn check(options: &Options) -> Result<(), DatapathError> {
    check_version(object(options))?;
    rights::check(rights::effective())?;
    if no_system_call() {
        return Err(DatapathError::Unsupported { what: "BPF (the bpf system call)" });
    }
    if aya::features().btf().is_none() {
        return Err(DatapathError::NO_BTF);
    }
    Ok(())
}

fn object(options: &Options) -> &'static [u8] {
    if options.messages { OBJECT_WITH_MESSAGES } else { OBJECT }
}

/// Loads maps and programs, but for the program that explains drops, once [`check`] has found nothing. Maps that are pinned
/// already are taken as they are if they are ours.
pub(super) fn load(
    options: &Options,
    kernel: KernelFacts,
    pins: Option<&Pins>,
) -> Result<Loaded, DatapathError> {
    // Possible CPUs, not those online: one that comes later must find its section.
    let cpus = aya::util::nr_cpus()
        .map_err(|_| DatapathError::Unsupported { what: "list of CPUs in /sys" })?;
    let cpus = u32::try_from(cpus).unwrap_or(u32::MAX);
    let sizes = Sizes::of(options.flow_entries, cpus);
    let (header, inherited) = match pins.map_or(Found::Nothing, |pins| find(pins, options, &sizes))
    {
        Found::Ours(header) => (header, true),
        Found::Nothing => (new_header(&sizes), false),
        Found::Useless(why) => {
            warn!(
                "what an earlier netwatch left counting is removed, and counting begins anew: {why}"
            );
            (new_header(&sizes), false)
        }
    };
    if let Some(pins) = pins.filter(|_| !inherited) {
        let path = pins.directory().to_owned();
        pins.clear().map_err(|source| DatapathError::Pins { path, source })?;
    }
    // A map of no entries is refused.
    let networks = u32::try_from(options.exclusion.networks.len()).unwrap_or(u32::MAX).max(1);
    let mut loader = EbpfLoader::new();
    for (name, path) in MAPS.iter().filter_map(|name| Some((*name, pins?.map(name)))) {
        loader.map_pin_path(name, path);
    }
    let mut ebpf = loader
        .map_max_entries("FLOWS", sizes.entries)
        .map_max_entries("INDEX", sizes.lines() * cpus)
        .map_max_entries("RESERVE", sizes.reserve * cpus)
        .map_max_entries("INTERFACES", (cpus + 1) * INTERFACE_SETS)
        .map_max_entries("OUTCOMES", cpus * OUTCOME_STRIDE)
        .map_max_entries("CPUS", cpus)
        .map_max_entries("DROP_STATES", cpus)
        .override_global("INDEX_LINES", &sizes.lines(), true)
        .override_global("INDEX_SHIFT", &sizes.shift(), true)
        .override_global("RESERVE_ENTRIES", &sizes.reserve, true)
        .override_global("HASH_SEEDS", &header.seeds[..], true)
        .map_max_entries("MESSAGE_RATES", cpus * MAX_INTERFACES)
        .map_max_entries("EXCLUDED_NETWORKS", networks)
        .override_global("FILTERS", &filter::filters(&options.exclusion), true)
        .override_global("MESSAGE_INTERVAL_NS", &message_interval_ns(options.dns_rate), true)
        .override_global("KERNEL", &Abi(kernel), true)
        .load(object(options))?;
    for (program, label) in PROGRAMS {
        let classifier: &mut SchedClassifier = ebpf
            .program_mut(program)
            .ok_or_else(|| DatapathError::Incomplete { what: format!("program {program}") })?
            .try_into()
            .map_err(|source| DatapathError::Program { program: label, source })?;
        classifier.load().map_err(|source| DatapathError::Program { program: label, source })?;
    }
    Ok(Loaded { ebpf, cpus, sizes, header, inherited })
}

/// What is pinned.
enum Found {
    Nothing,
    Ours(Header),
    /// And why.
    Useless(&'static str),
}

fn find(pins: &Pins, options: &Options, sizes: &Sizes) -> Found {
    if pins.is_empty() {
        return Found::Nothing;
    }
    let Some(header) = pins.header() else {
        return Found::Useless("it is of another version, or was never completed");
    };
    if !grace::is_possible() {
        return Found::Useless(
            "this kernel does not tell when its programs have ended (membarrier)",
        );
    }
    if header.namespace != namespace_cookie() {
        return Found::Useless("it is of a network namespace that is gone");
    }
    let same = Header { seeds: header.seeds, id: header.id, ..new_header(sizes) };
    if header != same {
        return Found::Useless("it has other sizes (--max-flows)");
    }
    if options.inheritance.as_ref().is_none_or(|known| known.id != header.id) {
        return Found::Useless("what had been read of it is not known");
    }
    Found::Ours(header)
}

fn new_header(sizes: &Sizes) -> Header {
    Header {
        abi: ABI_VERSION,
        cpus: sizes.cpus,
        entries: sizes.entries,
        index_bits: sizes.index_bits,
        reserve: sizes.reserve,
        pad: 0,
        seeds: hash_seeds(),
        id: RandomState::new().build_hasher().finish(),
        namespace: namespace_cookie(),
    }
}

/// Whether the kernel was built without BPF, or something between us and it says so.
fn no_system_call() -> bool {
    match aya::sys::is_program_supported(ProgramType::SchedClassifier) {
        Err(ProgramError::SyscallError(error)) => {
            error.io_error.raw_os_error() == Some(libc::ENOSYS)
        }
        _ => false,
    }
}

/// A random odd number for each word of a key: where flows are placed is nobody's to foresee.
fn hash_seeds() -> [u64; WORDS] {
    array::from_fn(|_| RandomState::new().build_hasher().finish() | 1)
}

/// What each message uses up of its interface's second.
fn message_interval_ns(rate: u32) -> u64 {
    MESSAGE_BURST_NS.checked_div(rate.into()).unwrap_or(0)
}

impl Loaded {
    /// An array map in our memory, as an array of the `T`s that its values consist of.
    pub(super) fn shared<T: Plain>(
        &mut self,
        name: &'static str,
    ) -> Result<SharedArray<T>, DatapathError> {
        let Some(Map::Array(map)) = self.ebpf.map(name) else {
            return Err(DatapathError::Incomplete { what: format!("array map {name}") });
        };
        let fd = map.fd().as_fd();
        let info = map.info().map_err(|source| DatapathError::Map { map: name, source })?;
        let size = info.value_size() as usize;
        if !size.is_multiple_of(size_of::<T>()) {
            return Err(DatapathError::Incomplete {
                what: format!("map {name} with values of {} bytes", size_of::<T>()),
            });
        }
        let parts = u32::try_from(size / size_of::<T>()).unwrap_or(0);
        SharedArray::map(&fd, info.max_entries() * parts)
            .map_err(|source| DatapathError::Memory { map: name, source })
    }

    /// A map of any other kind.
    pub(super) fn take(&mut self, name: &'static str) -> Result<Map, DatapathError> {
        let missing = || DatapathError::Incomplete { what: format!("map {name}") };
        self.ebpf.take_map(name).ok_or_else(missing)
    }

    /// A ring buffer.
    pub(super) fn ring(&mut self, name: &'static str) -> Result<Ring, DatapathError> {
        let map = self.take(name)?;
        let failed = |source| DatapathError::Map { map: name, source };
        let Map::RingBuf(data) = &map else {
            return Err(DatapathError::Incomplete { what: format!("ring {name}") });
        };
        let size = data.info().map_err(failed)?.max_entries();
        let records = RingBuf::try_from(map).map_err(failed)?;
        Ring::new(records, size).map_err(|source| DatapathError::Memory { map: name, source })
    }

    /// The word that holds the programs' clock. It is the whole of its section.
    pub(super) fn clock(&mut self) -> Result<Array<MapData, u64>, DatapathError> {
        const SECTION: &str = ".bss";
        let map = self
            .ebpf
            .take_map(SECTION)
            .ok_or_else(|| DatapathError::Incomplete { what: format!("section {SECTION}") })?;
        Array::try_from(map).map_err(|source| DatapathError::Map { map: SECTION, source })
    }

    /// Memory of all maps.
    pub(super) fn map_bytes(&self) -> u64 {
        let of = |size: usize, count: u32| size as u64 * u64::from(count);
        of(size_of::<FlowEntry>(), self.sizes.entries)
            + of(size_of::<Line>(), self.sizes.lines() * self.cpus)
            + of(size_of::<u64>(), self.sizes.reserve * self.cpus)
            + of(size_of::<InterfaceSet>(), (self.cpus + 1) * INTERFACE_SETS)
            + of(size_of::<Tally>(), self.cpus * OUTCOME_STRIDE)
            + of(size_of::<u64>(), self.cpus * MAX_INTERFACES + FILTER_WORDS)
            + of(size_of::<CpuState>() + size_of::<DropState>(), self.cpus)
            + of(size_of::<DropKey>(), DROP_KEYS)
            + of(size_of::<u64>(), DROP_KEYS * self.cpus)
            + of(size_of::<[u32; 2]>(), NAMESPACES)
            + RING_BYTES
    }
}

/// How often messages are fetched: they are for people to read.
const MESSAGE_INTERVAL: Duration = Duration::from_millis(100);

/// Logs what the kernel side writes, until the task is aborted.
pub(super) fn messages(ebpf: &mut Ebpf) -> Result<tokio::task::JoinHandle<()>, DatapathError> {
    let mut logger = aya_log::EbpfLogger::init(ebpf)?;
    Ok(tokio::spawn(async move {
        let mut interval = tokio::time::interval(MESSAGE_INTERVAL);
        loop {
            interval.tick().await;
            logger.flush();
        }
    }))
}

fn check_version(data: &[u8]) -> Result<(), DatapathError> {
    let found = abi_version(data)
        .ok_or_else(|| DatapathError::Incomplete { what: format!("symbol {ABI_SYMBOL}") })?;
    if found == ABI_VERSION {
        Ok(())
    } else {
        Err(DatapathError::AbiMismatch { found, expected: ABI_VERSION })
    }
}

/// The number that the object holds under [`ABI_SYMBOL`].
fn abi_version(data: &[u8]) -> Option<u32> {
    let file = object::File::parse(data).ok()?;
    let symbol = file.symbols().find(|symbol| symbol.name() == Ok(ABI_SYMBOL))?;
    let section = file.section_by_index(symbol.section_index()?).ok()?;
    let bytes = section.data_range(symbol.address(), 4).ok()??;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_objects_speak_our_version() {
        assert_eq!(abi_version(OBJECT), Some(ABI_VERSION));
        assert_eq!(abi_version(OBJECT_WITH_MESSAGES), Some(ABI_VERSION));
    }

    #[test]
    fn an_object_of_another_version_is_refused() {
        let mut data = OBJECT.to_vec();
        let offset = {
            let file = object::File::parse(&*data).unwrap();
            let symbol = file.symbols().find(|symbol| symbol.name() == Ok(ABI_SYMBOL)).unwrap();
            let section = file.section_by_index(symbol.section_index().unwrap()).unwrap();
            usize::try_from(section.file_range().unwrap().0 + symbol.address()).unwrap()
        };
        data[offset..offset + 4].copy_from_slice(&999u32.to_le_bytes());
        assert!(matches!(check_version(&data), Err(DatapathError::AbiMismatch { found: 999, .. })));
        assert!(matches!(check_version(b"no object"), Err(DatapathError::Incomplete { .. })));
    }
}
