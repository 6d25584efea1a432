//! Drops that the kernel side has counted and told.
//!
//! Optional: where the kernel or our rights do not allow the program, [`Drops::features`] says why, and nothing is
//! ever counted.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    os::fd::{AsFd as _, AsRawFd as _},
};

use aya::{
    Ebpf,
    maps::{HashMap as KernelMap, MapData, PerCpuHashMap},
    programs::{ProgramError, RawTracePoint},
};
use netwatch_common::{
    drop::{DropKey, DropState, HOST},
    record,
};

use super::{
    DatapathError,
    abi::{self, Abi},
    interfaces::InterfaceTable,
    object::{DROP_PROGRAM, Loaded},
    offer::{Offer, TRACEPOINT},
    reasons::Reasons,
    rights::{self, CONFIDENTIALITY},
    ring_buffer::Ring,
    shared::SharedArray,
};
use crate::model::{DropCount, DroppedPacket, Feature};

const DROPS: &str = "drops";
const REASONS: &str = "drop_reasons";
/// What is beyond the counters.
const OTHER: &str = "other";

/// The counters, and what has been read of them.
pub(super) struct Drops {
    namespaces: KernelMap<MapData, u32, u32>,
    counts: PerCpuHashMap<MapData, Abi<DropKey>, u64>,
    states: SharedArray<DropState>,
    records: Ring,
    reasons: Reasons,
    features: Vec<Feature>,
    /// What has been handed out of each counter.
    read: HashMap<DropKey, u64>,
    /// The same of those without a counter.
    read_other: u64,
    /// Identifiers of the namespaces that are observed.
    observed: HashSet<u32>,
    /// All drops at the last reading.
    settled: u64,
    /// The kernel's number of the host's namespace.
    host: u32,
}

/// What the kernel side says of drops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DropStatus {
    /// Drops whose flow was not told.
    pub details_lost: u64,
    /// Drops of any place that the kernel did not show to the program, because it was running on that CPU already.
    pub missed: u64,
}

impl Drops {
    /// Takes the maps, and starts the program if the kernel offers what it needs.
    pub(super) fn start(loaded: &mut Loaded, offer: Offer) -> Result<Self, DatapathError> {
        let map_error = |map| move |source| DatapathError::Map { map, source };
        let mut drops = Self {
            namespaces: KernelMap::try_from(loaded.take("NAMESPACES")?)
                .map_err(map_error("NAMESPACES"))?,
            counts: PerCpuHashMap::try_from(loaded.take("DROPS")?).map_err(map_error("DROPS"))?,
            states: loaded.shared("DROP_STATES")?,
            records: loaded.ring("DROP_RECORDS")?,
            reasons: offer.reasons,
            features: Vec::new(),
            read: HashMap::new(),
            read_other: 0,
            observed: HashSet::new(),
            settled: 0,
            host: 0,
        };
        let lacking = offer.lacking.or_else(|| drops.attach(&mut loaded.ebpf).err());
        drops.features = features(offer.facts.arguments, lacking);
        for feature in drops.features.iter().filter(|feature| !feature.is_available()) {
            let why = feature.lacking.as_deref().unwrap_or_default();
            tracing::warn!(feature = feature.name, "goes on without: {why}");
        }
        Ok(drops)
    }

    /// Loads and attaches the program, with the host's devices observed; or the reason for people why not.
    fn attach(&mut self, ebpf: &mut Ebpf) -> Result<(), String> {
        let host = own_namespace().map_err(|error| format!("our network namespace: {error}"))?;
        self.host = host;
        self.namespaces.insert(host, HOST, 0).map_err(|error| error.to_string())?;
        let program = load_program(ebpf)?;
        program.attach(TRACEPOINT).map_err(|error| refusal(&error))?;
        Ok(())
    }

    /// What is there, and why not.
    pub(super) fn features(&self) -> &[Feature] {
        &self.features
    }

    /// Whether drops are counted at all.
    pub(super) fn is_running(&self) -> bool {
        self.features.iter().any(|feature| feature.name == DROPS && feature.is_available())
    }

    /// Observes a namespace, by the kernel's number of it, under an identifier other than [`HOST`]. The host's own is
    /// observed already.
    pub(super) fn observe(&mut self, number: u32, id: u32) -> Result<(), DatapathError> {
        if number == self.host {
            return Ok(());
        }
        self.namespaces
            .insert(number, id, 0)
            .map_err(|source| DatapathError::Map { map: "NAMESPACES", source })?;
        self.observed.insert(id);
        Ok(())
    }

    /// Observes it no more. What it has counted is handed out by the next reading.
    pub(super) fn forget(&mut self, number: u32, id: u32) {
        // It may have been overwritten: the kernel gives numbers to the next one at once.
        if self.namespaces.get(&number, 0).is_ok_and(|current| current == id) {
            // Nothing but an entry that is gone already can be wrong here.
            let _ = self.namespaces.remove(&number);
        }
        self.observed.remove(&id);
    }

    /// Hands out what each counter has counted since the last reading, and drops those of places that are gone.
    pub(super) fn read_counts(
        &mut self,
        interfaces: &InterfaceTable,
        each: &mut impl FnMut(DropCount),
    ) {
        let counted = self.counted();
        if counted == self.settled {
            return;
        }
        self.settled = counted;
        let counters: Vec<(DropKey, u64)> = self
            .counts
            .iter()
            .filter_map(Result::ok)
            .map(|(Abi(key), values)| (key, values.iter().sum()))
            .collect();
        for (key, total) in counters {
            let before = self.read.insert(key, total).unwrap_or(0);
            if total > before {
                let site = Some(abi::drop_site(key.namespace, key.ifindex));
                let packets = total - before;
                each(DropCount { reason: self.reasons.label(key.reason), site, packets });
            }
            let alive = match key.namespace {
                HOST => interfaces.is_assigned(key.ifindex),
                id => self.observed.contains(&id),
            };
            if !alive {
                let _ = self.counts.remove(&Abi(key));
                self.read.remove(&key);
            }
        }
        let other = self.sum(|state| state.other);
        if other > self.read_other {
            let packets = other - self.read_other;
            each(DropCount { reason: OTHER.into(), site: None, packets });
            self.read_other = other;
        }
    }

    /// Hands out the packets that have been told since the last call.
    pub(super) fn read_packets(&mut self) -> Vec<DroppedPacket> {
        let mut packets = Vec::new();
        self.records.drain(|bytes| {
            let Some(record) = record::dropped(bytes) else { return };
            let packet = abi::dropped(&record, self.reasons.label(record.reason));
            // Multicast ends wherever nobody wants it: on a Docker host in each container, which has IPv6 off.
            if !packet.destination.address.is_multicast() {
                packets.push(packet);
            }
        });
        packets
    }

    /// What they go through.
    pub(super) fn ring(&self) -> &Ring {
        &self.records
    }

    /// All drops that have been counted.
    pub(super) fn counted(&self) -> u64 {
        self.sum(|state| state.counted)
    }

    /// What the kernel side says of itself.
    pub(super) fn status(&self, ebpf: &Ebpf) -> DropStatus {
        let details_lost = self.sum(|state| state.details_lost);
        DropStatus { details_lost, missed: missed(ebpf).unwrap_or(0) }
    }

    fn sum(&self, of: impl Fn(DropState) -> u64) -> u64 {
        (0..self.states.len()).filter_map(|cpu| self.states.read(cpu)).map(of).sum()
    }
}

/// Loads the program without attaching it; or the reason for people why not.
pub(super) fn load_program(ebpf: &mut Ebpf) -> Result<&mut RawTracePoint, String> {
    let program: &mut RawTracePoint = ebpf
        .program_mut(DROP_PROGRAM)
        .ok_or_else(|| format!("the eBPF object has no program {DROP_PROGRAM}"))?
        .try_into()
        .map_err(|error: ProgramError| error.to_string())?;
    program.load().map_err(|error| refusal(&error))?;
    Ok(program)
}

/// How often the kernel passed the program over, from Linux 5.12 on. aya has no word for it.
fn missed(ebpf: &Ebpf) -> Option<u64> {
    let program = ebpf.program(DROP_PROGRAM)?.fd().ok()?.as_fd().as_raw_fd();
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{program}")).ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("recursion_misses:"))?;
    line.trim().parse().ok()
}

/// Counting, and knowing the reason: the second needs the first, and a kernel that tells it.
pub(super) fn features(arguments: u32, lacking: Option<String>) -> Vec<Feature> {
    match lacking {
        Some(why) => vec![Feature::lacking(DROPS, why.clone()), Feature::lacking(REASONS, why)],
        None if arguments < 3 => vec![
            Feature::available(DROPS),
            Feature::lacking(REASONS, "this kernel tells no reasons (they come with Linux 5.17)"),
        ],
        None => vec![Feature::available(DROPS), Feature::available(REASONS)],
    }
}

/// The kernel's number of the network namespace that this thread is in, where the devices are that we attach to.
fn own_namespace() -> io::Result<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let inode = fs::metadata("/proc/thread-self/ns/net")?.ino();
    u32::try_from(inode).map_err(io::Error::other)
}

/// Why the kernel does not take the program, in few words.
fn refusal(error: &ProgramError) -> String {
    if rights::lockdown().as_deref() == Some(CONFIDENTIALITY) {
        return rights::LOCKED.into();
    }
    match error {
        ProgramError::LoadError { io_error, .. } => {
            format!("the kernel refused the program {DROP_PROGRAM}: {io_error}")
        }
        error => format!("the tracepoint {TRACEPOINT}: {error}"),
    }
}
