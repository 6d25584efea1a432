//! Reads the flow table: live entries from shared memory, those that had to give way from the ring.
//!
//! Each packet is handed out exactly once. What has been read of an entry is kept in a shadow; of each entry the
//! incarnations are taken strictly in order, so that one which was read while live and is evicted later yields
//! only what came in between. Which entries there are to read is the pool's to know (`pool.rs`).

use std::mem::offset_of;

use netwatch_common::{
    flow::{FlowEntry, Half, family},
    record,
};

use super::{
    DatapathError,
    abi::{self, Read},
    interfaces::InterfaceTable,
    monotonic_now,
    object::Loaded,
    pool::{Memory, Pool},
    ring::Ring,
    shared::{Plain, SharedArray},
};
use crate::model::Observation;

/// Entries that are read between two visits to the ring and the reserves.
const BETWEEN_VISITS: u32 = 4_096;

pub(super) struct FlowTable {
    entries: SharedArray<FlowEntry>,
    shadows: SharedArray<Shadow>,
    evicted: Ring,
    pool: Pool,
}

/// What has been read of an entry. Sixty-four bytes, for there are as many as there are entries.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Shadow {
    /// Sequence number of the entry when it was read.
    sequence: u32,
    /// Incarnations whose last reading is done.
    finished: u16,
    /// 1 = the present incarnation has been read.
    is_read: u8,
    pad: u8,
    /// Sum of the times of all echoes.
    echo_ns: u64,
    ingress: Read,
    egress: Read,
}

const _: () = assert!(size_of::<Shadow>() == 64);

#[expect(unsafe_code, reason = "memory of our own in the shape of a shared array")]
// SAFETY: repr(C), integers only, no padding.
unsafe impl Plain for Shadow {}

impl FlowTable {
    pub(super) fn take(loaded: &mut Loaded) -> Result<Self, DatapathError> {
        let entries: SharedArray<FlowEntry> = loaded.shared("FLOWS")?;
        let shadows = SharedArray::anonymous(entries.len())
            .map_err(|source| DatapathError::Memory { map: "the shadow of FLOWS", source })?;
        let memory = Memory {
            index: loaded.shared("INDEX")?,
            reserve: loaded.shared("RESERVE")?,
            states: loaded.shared("CPUS")?,
        };
        let pool = Pool::new(memory, loaded.sizes, loaded.seeds);
        Ok(Self { entries, shadows, evicted: loaded.ring("EVICTED")?, pool })
    }

    /// Entries of flows, as far as has been noticed.
    pub(super) fn used(&self) -> u64 {
        self.pool.used().into()
    }

    /// Entries in all.
    pub(super) fn capacity(&self) -> u64 {
        u64::from(self.entries.len()) - 1
    }

    /// What the entries go through that give way.
    pub(super) fn ring(&self) -> &Ring {
        &self.evicted
    }

    /// Takes the evicted entries out of the ring, and fills the reserves.
    pub(super) fn serve(
        &mut self,
        interfaces: &InterfaceTable,
        each: &mut impl FnMut(Observation),
    ) {
        self.drain(interfaces, each);
        self.pool.supply();
    }

    pub(super) fn read(&mut self, interfaces: &InterfaceTable, each: &mut impl FnMut(Observation)) {
        self.drain(interfaces, each);
        self.part(interfaces, each);
        let now_ns = self.pool.is_short().then(|| monotonic_now().0);
        for index in 0..self.entries.len() {
            // New flows do not wait for the end of a long reading.
            if index.is_multiple_of(BETWEEN_VISITS) {
                self.serve(interfaces, each);
            }
            if !self.pool.is_used(index) {
                continue;
            }
            if self.is_changed(index) {
                self.read_entry(index, interfaces, each);
            } else if let Some(now_ns) = now_ns
                && Pool::is_quiet(self.last_ns(index), now_ns)
                && let Some(entry) = self.consistent(index)
            {
                self.pool.take_back(index, &entry, now_ns);
            }
        }
        self.pool.part();
    }

    /// Hands out the last of the entries that are leaving.
    fn part(&mut self, interfaces: &InterfaceTable, each: &mut impl FnMut(Observation)) {
        for (index, incarnation) in self.pool.parted() {
            if self.is_changed(index) {
                self.read_entry(index, interfaces, each);
            }
            let finished =
                self.consistent(index).zip(self.shadows.read(index)).filter(|(entry, shadow)| {
                    entry.incarnation == incarnation && entry.sequence == shadow.sequence
                });
            match finished {
                Some((FlowEntry { sequence, .. }, _)) => {
                    let next = Shadow { sequence, finished: incarnation, ..Shadow::default() };
                    self.shadows.write(index, next);
                    self.pool.free(index);
                }
                None => self.pool.keep(index),
            }
        }
    }

    /// Whether an entry has been written since it was read.
    fn is_changed(&self, index: u32) -> bool {
        let sequence = self.entries.read_u32(index, offset_of!(FlowEntry, sequence));
        sequence != self.shadows.read_u32(index, offset_of!(Shadow, sequence))
    }

    /// When an entry was last written, or a moment that has passed since.
    fn last_ns(&self, index: u32) -> u64 {
        let last =
            |half| self.entries.read_u64(index, half + offset_of!(Half, last_ns)).unwrap_or(0);
        last(offset_of!(FlowEntry, ingress)).max(last(offset_of!(FlowEntry, egress)))
    }

    fn consistent(&self, index: u32) -> Option<FlowEntry> {
        self.entries.read_consistent(index, offset_of!(FlowEntry, sequence))
    }

    fn read_entry(
        &mut self,
        index: u32,
        interfaces: &InterfaceTable,
        each: &mut impl FnMut(Observation),
    ) {
        let Some(entry) = self.consistent(index) else { return };
        let Some(mut shadow) = self.shadows.read(index) else { return };
        if entry.incarnation != shadow.finished.wrapping_add(1) {
            // The one before was evicted since the ring was drained: its last counts are in there by now.
            self.drain(interfaces, each);
            let Some(fresh) = self.shadows.read(index) else { return };
            if entry.incarnation != fresh.finished.wrapping_add(1) {
                // Behind a record that another CPU has not completed. The next reading will find it.
                return;
            }
            shadow = fresh;
        }
        hand_out(&entry, &shadow, interfaces, each);
        shadow.sequence = entry.sequence;
        shadow.is_read = 1;
        shadow.echo_ns = entry.timing_ns;
        shadow.ingress = Read::all(&entry.ingress);
        shadow.egress = Read::all(&entry.egress);
        self.shadows.write(index, shadow);
    }

    /// Takes all evicted entries out of the ring.
    pub(super) fn drain(
        &mut self,
        interfaces: &InterfaceTable,
        each: &mut impl FnMut(Observation),
    ) {
        self.evicted.drain(|bytes| {
            let Some(record) = record::evicted(bytes) else { return };
            let Some(shadow) = self.shadows.read(record.index) else { return };
            hand_out(&record.entry, &shadow, interfaces, each);
            // The next one in this entry has another sequence number: each packet changes it.
            let finished = record.entry.incarnation;
            let sequence = record.entry.sequence;
            self.shadows.write(record.index, Shadow { sequence, finished, ..Shadow::default() });
        });
    }
}

fn hand_out(
    entry: &FlowEntry,
    shadow: &Shadow,
    interfaces: &InterfaceTable,
    each: &mut impl FnMut(Observation),
) {
    let Some(ifindex) = interfaces.owner(entry.key.slot) else { return };
    let protocol = entry.key.protocol;
    let ingress = abi::side(protocol, &entry.ingress, &shadow.ingress);
    let egress = abi::side(protocol, &entry.egress, &shadow.egress);
    let error = abi::error(entry);
    if ingress.new.is_zero() && egress.new.is_zero() && error.is_none() {
        return;
    }
    each(Observation {
        ifindex,
        local: abi::local(&entry.key),
        remote: abi::remote(&entry.key),
        protocol: abi::protocol(&entry.key),
        is_inner: entry.key.family & family::INNER != 0,
        ingress,
        egress,
        fresh: shadow.is_read == 0,
        acknowledged: abi::acknowledged(entry),
        echoes: abi::echoes(entry, [&shadow.ingress, &shadow.egress], shadow.echo_ns),
        error,
        source_mac: abi::source_mac(entry),
    });
}
