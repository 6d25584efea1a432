//! Reads the flow table: live entries from shared memory, those that had to give way from the ring.
//!
//! Each packet is handed out exactly once. What has been read of an entry is kept in a shadow; of each entry the
//! incarnations are taken strictly in order, so that one which was read while live and is evicted later yields
//! only what came in between. Which entries there are to read is the pool's to know (`pool.rs`).

use std::{fs::File, mem::offset_of};

use ipnet::IpNet;
use netwatch_common::{
    flow::{EvictedFlow, FlowEntry, Half, family},
    record,
};
use serde::Serialize;

use super::{
    DatapathError,
    abi::{self, Read},
    grace,
    interfaces::InterfaceTable,
    monotonic_now,
    object::Loaded,
    pool::{Memory, Pool},
    ring_buffer::Ring,
    shadow::{Bookmark, Marks, Shadow},
    shared::SharedArray,
    taken::{self, Taken},
    unwanted::Unwanted,
};
use crate::model::Observation;

/// Entries that are read between two visits to the ring and the reserves.
const BETWEEN_VISITS: u32 = 4_096;

pub(super) struct FlowTable {
    entries: SharedArray<FlowEntry>,
    shadows: SharedArray<Shadow>,
    evicted: Ring,
    pool: Pool,
    /// What can be read in no other place.
    taken: Taken,
    /// An earlier agent has read it up to some time ago.
    is_inherited: bool,
    unwanted: Unwanted,
}

impl FlowTable {
    /// `bookmark`: how far it had been read by the time that is known. `excluded`: networks of which it is to have no flows.
    pub(super) fn take(
        loaded: &mut Loaded,
        bookmark: Option<&Bookmark>,
        excluded: &[IpNet],
    ) -> Result<Self, DatapathError> {
        let entries: SharedArray<FlowEntry> = loaded.shared("FLOWS")?;
        let shadows = SharedArray::anonymous(entries.len())
            .map_err(|source| DatapathError::Memory { map: "the shadow of FLOWS", source })?;
        let memory = Memory {
            index: loaded.shared("INDEX")?,
            reserve: loaded.shared("RESERVE")?,
            states: loaded.shared("CPUS")?,
        };
        let Loaded { sizes, header, inherited, .. } = *loaded;
        let pool = if inherited {
            if let Some(bookmark) = bookmark {
                bookmark.restore(&shadows);
            }
            let sequence = |index| entries.read_u32(index, offset_of!(FlowEntry, sequence));
            Pool::take_over(memory, sizes, header.seeds, sequence)
        } else {
            Pool::new(memory, sizes, header.seeds)
        };
        let evicted = loaded.ring("EVICTED")?;
        let taken = Taken::default();
        let unwanted = Unwanted::left(excluded, inherited);
        Ok(Self { entries, shadows, evicted, pool, taken, is_inherited: inherited, unwanted })
    }

    /// How far it has been read.
    pub(super) fn bookmark(&self) -> impl Serialize {
        Marks(&self.shadows)
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

    /// Where what is taken out for good is noted from now on.
    pub(super) fn note_into(&mut self, file: Option<File>) {
        self.taken = Taken::into(file);
    }

    /// Whether so much is noted that the bookmark had better be renewed.
    pub(super) fn has_noted_much(&self) -> bool {
        self.taken.is_much()
    }

    /// Hands out what an earlier agent had noted since the bookmark.
    pub(super) fn read_noted(&mut self, noted: &[u8], each: &mut impl FnMut(Observation)) {
        for (ifindex, record) in taken::noted(noted) {
            finish(&self.shadows, &record, Some(ifindex), each);
        }
    }

    /// Takes the evicted entries out of the ring, and fills the reserves.
    pub(super) fn serve(
        &mut self,
        interfaces: &InterfaceTable,
        each: &mut impl FnMut(Observation),
    ) {
        if std::mem::take(&mut self.is_inherited) {
            self.catch_up(interfaces, each);
        }
        self.drain(interfaces, each);
        self.pool.supply();
    }

    /// Sees to entries that were read further than is known by an agent that ended before it could tell, and hands out what is
    /// left in those that it took back.
    fn catch_up(&mut self, interfaces: &InterfaceTable, each: &mut impl FnMut(Observation)) {
        self.drain(interfaces, each);
        let mut ahead = Vec::new();
        for index in
            (0..self.entries.len()).filter(|index| self.is_changed(*index)).collect::<Vec<_>>()
        {
            let Some(entry) = self.consistent(index) else { continue };
            let Some(shadow) = self.shadows.read(index) else { continue };
            if shadow.is_before(entry.incarnation) {
                self.retire(index, interfaces, each);
            } else {
                ahead.push((index, entry.incarnation.wrapping_sub(1)));
            }
        }
        // Then whoever was about to evict one of them has done so: what the ring has not by now, it never will.
        grace::wait();
        self.drain(interfaces, each);
        for (index, last) in ahead {
            let Some(shadow) = self.shadows.read(index) else { continue };
            if shadow.is_behind(last) {
                self.shadows.write(index, Shadow::finished(last, shadow.sequence));
            }
            self.retire(index, interfaces, each);
        }
    }

    /// Hands out the rest of an entry that no flow has any more.
    fn retire(
        &mut self,
        index: u32,
        interfaces: &InterfaceTable,
        each: &mut impl FnMut(Observation),
    ) {
        let Some(entry) = self.consistent(index) else { return };
        let Some(shadow) = self.shadows.read(index) else { return };
        // After the entry: one that was in reserve then has not been another flow's.
        self.pool.look();
        if self.pool.is_used(index) {
            return;
        }
        if shadow.is_before(entry.incarnation) {
            let ifindex = interfaces.owner(entry.key.slot);
            hand_out(&entry, &shadow, ifindex, each);
            self.taken.note(ifindex, &EvictedFlow { index, entry, ..EvictedFlow::default() });
        }
        self.shadows.write(index, Shadow::finished(entry.incarnation, entry.sequence));
    }

    pub(super) fn read(&mut self, interfaces: &InterfaceTable, each: &mut impl FnMut(Observation)) {
        self.serve(interfaces, each);
        self.part(interfaces, each);
        let now_ns = self.pool.is_short().then(|| monotonic_now().0);
        let looks = self.unwanted.may_be() && self.pool.can_take_back();
        let mut has_found = false;
        let mut behind = Vec::new();
        for index in 0..self.entries.len() {
            // New flows do not wait for the end of a long reading.
            if index.is_multiple_of(BETWEEN_VISITS) {
                self.serve(interfaces, each);
            }
            if !self.pool.is_used(index) {
                continue;
            }
            if looks && self.is_dismissed(index) {
                has_found = true;
            } else if self.is_changed(index) {
                if !self.read_entry(index, interfaces, each) {
                    behind.push(index);
                }
            } else if let Some(now_ns) = now_ns
                && Pool::is_quiet(self.last_ns(index), now_ns)
                && let Some(entry) = self.consistent(index)
            {
                self.pool.take_back(index, &entry, now_ns);
            }
        }
        if looks && !has_found {
            self.unwanted.are_gone();
        }
        if !behind.is_empty() {
            // Once for all of them: flows may give way faster than we can take them out.
            self.drain(interfaces, each);
            for index in behind {
                self.read_entry(index, interfaces, each);
            }
        }
        self.pool.part();
    }

    /// Takes back what is of no use to anybody. What it counted since it was read is handed out when it has left.
    fn is_dismissed(&mut self, index: u32) -> bool {
        let unwanted = self.consistent(index).filter(|entry| self.unwanted.is(&entry.key));
        unwanted.is_some_and(|entry| self.pool.dismiss(index, &entry))
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
                Some((entry, _)) => {
                    let ifindex = interfaces.owner(entry.key.slot);
                    let record = EvictedFlow { index, entry, ..EvictedFlow::default() };
                    self.taken.note(ifindex, &record);
                    self.shadows.write(index, Shadow::finished(incarnation, entry.sequence));
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

    /// Whether it could be read. Not if the flow before it was evicted since the ring was drained: its last counts are in there,
    /// perhaps behind a record that another CPU has not completed.
    fn read_entry(
        &mut self,
        index: u32,
        interfaces: &InterfaceTable,
        each: &mut impl FnMut(Observation),
    ) -> bool {
        let (Some(entry), Some(mut shadow)) = (self.consistent(index), self.shadows.read(index))
        else {
            return false;
        };
        if !shadow.is_before(entry.incarnation) {
            return false;
        }
        hand_out(&entry, &shadow, interfaces.owner(entry.key.slot), each);
        shadow.sequence = entry.sequence;
        shadow.is_read = 1;
        shadow.echo_ns = entry.timing_ns;
        shadow.ingress = Read::all(&entry.ingress);
        shadow.egress = Read::all(&entry.egress);
        self.shadows.write(index, shadow);
        true
    }

    /// Takes all evicted entries out of the ring.
    pub(super) fn drain(
        &mut self,
        interfaces: &InterfaceTable,
        each: &mut impl FnMut(Observation),
    ) {
        let (shadows, taken) = (&self.shadows, &mut self.taken);
        self.evicted.drain(|bytes| {
            let Some(record) = record::evicted(bytes) else { return };
            let ifindex = interfaces.owner(record.entry.key.slot);
            finish(shadows, &record, ifindex, each);
            taken.note(ifindex, &record);
        });
    }
}

/// Hands out what is new in the last state of an entry, if that is not done.
fn finish(
    shadows: &SharedArray<Shadow>,
    record: &EvictedFlow,
    ifindex: Option<u32>,
    each: &mut impl FnMut(Observation),
) {
    let FlowEntry { incarnation, sequence, .. } = record.entry;
    // An agent that ended may have noted it and left it in the ring.
    let Some(shadow) = shadows.read(record.index).filter(|it| it.is_behind(incarnation)) else {
        return;
    };
    // Or may have read, and not told, the one before.
    let before = if shadow.is_before(incarnation) { shadow } else { Shadow::default() };
    hand_out(&record.entry, &before, ifindex, each);
    // The next one in this entry has another sequence number: each packet changes it.
    shadows.write(record.index, Shadow::finished(incarnation, sequence));
}

fn hand_out(
    entry: &FlowEntry,
    shadow: &Shadow,
    ifindex: Option<u32>,
    each: &mut impl FnMut(Observation),
) {
    // Of an interface that is gone, with all that it had counted.
    let Some(ifindex) = ifindex else { return };
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
