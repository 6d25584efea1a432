//! Who has which entry of the flow table: given to the CPUs as reserves, noticed when they are taken, and, where entries run
//! short, taken back from flows that have been quiet.
//!
//! Nothing is locked, for the kernel's programs have no locks that all kernels know. An entry is taken back in two steps:
//! its place in the index is cleared, and when no program runs any more that may have looked there before (a grace period of
//! the kernel's RCU, which `membarrier` waits for), it is free, if it is still the same flow's: a program that was about to give
//! it to another flow has done so by then, and it stays where it is.

use std::mem::offset_of;

use netwatch_common::{
    cpu::CpuState,
    flow::{FlowEntry, FlowKey, WORDS, spread},
    index::{self, Line, NO_ENTRY, WAYS},
};

use super::{
    grace::{self, Grace},
    shared::SharedArray,
};

/// What of the kernel's memory the pool works on.
pub(super) struct Memory {
    pub(super) index: SharedArray<Line>,
    pub(super) reserve: SharedArray<u64>,
    pub(super) states: SharedArray<CpuState>,
}

/// Sizes of the table on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) cpus: u32,
    /// Entries of the pool; the first is never used.
    pub(super) entries: u32,
    /// Places of the index on each CPU are two to this power.
    pub(super) index_bits: u32,
    /// Entries that have room in the reserve of each CPU.
    pub(super) reserve: u32,
}

/// Fewer entries than this part of all being free is a shortage.
const SHORTAGE: u32 = 4;
/// When this part of all is free, or will be, no more are taken back: a flow that comes again begins anew.
const ENOUGH: u32 = 2;
/// Entries are taken back that have been quiet for so long, in a shortage.
const QUIET_NS: u64 = 10_000_000_000;

impl Sizes {
    /// For so many entries on a host with so many CPUs: a quarter of the entries at most is in reserves, and the index has eight
    /// places for each entry at most, two of them on each CPU.
    pub(super) fn of(entries: u32, cpus: u32) -> Self {
        // Each CPU needs one, and the first is nobody's.
        let entries = entries.clamp(cpus + 1, 1 << index::ENTRY_BITS);
        let places = entries.saturating_mul(2).min(entries.saturating_mul(8) / cpus);
        Self {
            cpus,
            entries,
            index_bits: places.max(WAYS).ilog2(),
            reserve: 1 << (entries / 4 / cpus).max(1).ilog2(),
        }
    }

    /// Lines of the index on each CPU.
    pub(super) fn lines(&self) -> u32 {
        (1 << self.index_bits) / WAYS
    }

    /// See [`index::home`].
    pub(super) fn shift(&self) -> u32 {
        32 - self.index_bits
    }
}

/// Who has an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    /// Nobody.
    Free,
    /// The reserve of this CPU.
    Reserve(u16),
    /// A flow of this CPU.
    Flow(u16),
    /// Nobody soon: its place in the index has been cleared.
    Leaving(u16),
}

pub(super) struct Pool {
    memory: Memory,
    sizes: Sizes,
    seeds: [u64; WORDS],
    holders: Vec<Holder>,
    free: Vec<u32>,
    /// Of each CPU.
    reserves: Vec<Reserve>,
    /// Entries of flows.
    used: u32,
    /// Those that are leaving, with the incarnation that each had then.
    leaving: Vec<(u32, u16)>,
    grace: Grace,
}

/// How far the reserve of a CPU has been filled, and found emptied. Both wrap.
#[derive(Clone, Copy, Default)]
struct Reserve {
    given: u32,
    taken: u32,
    /// Entries that the CPU has, in its reserve or in flows.
    owned: u32,
}

impl Pool {
    pub(super) fn new(memory: Memory, sizes: Sizes, seeds: [u64; WORDS]) -> Self {
        let mut pool = Self {
            memory,
            sizes,
            seeds,
            holders: vec![Holder::Free; sizes.entries as usize],
            // The lowest first: what is in use stands close together.
            free: (NO_ENTRY + 1..sizes.entries).rev().collect(),
            reserves: vec![Reserve::default(); sizes.cpus as usize],
            used: 0,
            leaving: Vec::new(),
            grace: Grace::new(),
        };
        pool.supply();
        pool
    }

    /// Goes on with what an earlier agent has left, and gives nobody anything yet. `sequence`: of an entry, now.
    pub(super) fn take_over(
        memory: Memory,
        sizes: Sizes,
        seeds: [u64; WORDS],
        sequence: impl Fn(u32) -> Option<u32>,
    ) -> Self {
        let before: Vec<Option<u32>> = (0..sizes.entries).map(&sequence).collect();
        let of = |cpu: u32| {
            let state = memory.states.read(cpu).unwrap_or_default();
            Reserve { given: state.given, taken: state.taken, owned: 0 }
        };
        let reserves: Vec<Reserve> = (0..sizes.cpus).map(of).collect();
        // An entry that was taken before now is in the index after this.
        grace::wait();
        let mut holders = vec![Holder::Free; sizes.entries as usize];
        let mut set = |number: u32, holder| {
            if let Some(place) = holders.get_mut(number as usize) {
                *place = holder;
            }
        };
        for line in 0..sizes.lines() * sizes.cpus {
            let places = memory.index.read(line).into_iter().flat_map(|line| line.0);
            for number in places.map(index::entry).filter(|number| *number != NO_ENTRY) {
                set(number, Holder::Flow(of_cpu(line / sizes.lines())));
            }
        }
        for (cpu, reserve) in (0..).zip(&reserves) {
            for step in 0..reserve.given.wrapping_sub(reserve.taken).min(sizes.reserve) {
                let at = reserve.taken.wrapping_add(step) % sizes.reserve;
                let number = memory.reserve.read(cpu * sizes.reserve + at);
                if let Some(number) = number.and_then(|it| u32::try_from(it).ok()) {
                    set(number, Holder::Reserve(of_cpu(cpu)));
                }
            }
        }
        // One that has gone from a line that we had still to see to one that we had seen has begun another flow by now.
        grace::wait();
        for (number, before) in (0..).zip(before) {
            if let Some(holder @ Holder::Free) = holders.get_mut(number as usize)
                && sequence(number) != before
            {
                // In use, and never taken back.
                *holder = Holder::Leaving(0);
            }
        }
        let mut pool = Self {
            free: Vec::new(),
            used: 0,
            leaving: Vec::new(),
            grace: Grace::new(),
            memory,
            sizes,
            seeds,
            holders,
            reserves,
        };
        for number in (NO_ENTRY + 1..sizes.entries).rev() {
            let Some(holder) = pool.holders.get(number as usize) else { continue };
            let (Holder::Flow(cpu) | Holder::Reserve(cpu) | Holder::Leaving(cpu)) = *holder else {
                pool.free.push(number);
                continue;
            };
            pool.used += u32::from(!matches!(holder, Holder::Reserve(_)));
            if let Some(reserve) = pool.reserves.get_mut(usize::from(cpu)) {
                reserve.owned += 1;
            }
        }
        pool
    }

    /// Entries of flows.
    pub(super) fn used(&self) -> u32 {
        self.used
    }

    /// Whether a flow has the entry.
    pub(super) fn is_used(&self, number: u32) -> bool {
        matches!(self.holders.get(number as usize), Some(Holder::Flow(_) | Holder::Leaving(_)))
    }

    /// Notices what the CPUs have taken.
    pub(super) fn look(&mut self) {
        (0..self.sizes.cpus).for_each(|cpu| self.notice(cpu));
    }

    /// The same, and fills their reserves.
    pub(super) fn supply(&mut self) {
        self.look();
        let cpus = 0..self.sizes.cpus;
        // First to those that have less than a reserve in all: one that begins flows without end is not to starve them.
        for cpu in cpus.clone() {
            let owned = self.reserves.get(cpu as usize).map_or(0, |reserve| reserve.owned);
            self.fill(cpu, self.sizes.reserve.saturating_sub(owned) as usize);
        }
        for cpu in cpus {
            self.fill(cpu, self.free.len().div_ceil(self.sizes.cpus as usize));
        }
    }

    fn notice(&mut self, cpu: u32) {
        let Some(reserve) = self.reserves.get_mut(cpu as usize) else { return };
        let Some(taken) = self.memory.states.read_u32(cpu, offset_of!(CpuState, taken)) else {
            return;
        };
        while reserve.taken != taken {
            let at = cpu * self.sizes.reserve + reserve.taken % self.sizes.reserve;
            reserve.taken = reserve.taken.wrapping_add(1);
            let number = self.memory.reserve.read(at).and_then(|it| usize::try_from(it).ok());
            let Some(holder) = number.and_then(|it| self.holders.get_mut(it)) else { continue };
            *holder = Holder::Flow(of_cpu(cpu));
            self.used += 1;
        }
    }

    /// Gives a CPU so many entries, as far as they are there and have room.
    fn fill(&mut self, cpu: u32, share: usize) {
        let Some(reserve) = self.reserves.get_mut(cpu as usize) else { return };
        let room = self.sizes.reserve - reserve.given.wrapping_sub(reserve.taken);
        let count = share.min(room as usize).min(self.free.len());
        for number in self.free.drain(self.free.len() - count..).rev() {
            let at = cpu * self.sizes.reserve + reserve.given % self.sizes.reserve;
            self.memory.reserve.write(at, number.into());
            reserve.given = reserve.given.wrapping_add(1);
            reserve.owned += 1;
            self.holders[number as usize] = Holder::Reserve(of_cpu(cpu));
        }
        // After the entries themselves: the CPU takes none that it cannot read.
        self.memory.states.release_u32(cpu, offset_of!(CpuState, given), reserve.given);
    }

    /// Whether a flow that was last seen then is quiet.
    pub(super) fn is_quiet(last_ns: u64, now_ns: u64) -> bool {
        last_ns.saturating_add(QUIET_NS) <= now_ns
    }

    /// Whether entries are to be taken back now.
    pub(super) fn is_short(&self) -> bool {
        self.can_take_back() && self.free.len() < (self.sizes.entries / SHORTAGE) as usize
    }

    /// Whether entries can be taken back: not where nobody could wait for it, nor while others are leaving.
    pub(super) fn can_take_back(&self) -> bool {
        self.grace.is_possible && self.leaving.is_empty()
    }

    /// Begins to take an entry back, of a flow that has been quiet.
    pub(super) fn take_back(&mut self, number: u32, entry: &FlowEntry, now_ns: u64) {
        let is_enough =
            self.free.len() + self.leaving.len() >= (self.sizes.entries / ENOUGH) as usize;
        if !is_enough && Self::is_quiet(entry.last_ns(), now_ns) {
            self.dismiss(number, entry);
        }
    }

    /// Begins to take an entry back, of whatever flow. Whether that can be done.
    pub(super) fn dismiss(&mut self, number: u32, entry: &FlowEntry) -> bool {
        let Some(holder) = self.holders.get_mut(number as usize) else { return false };
        let Holder::Flow(cpu) = *holder else { return false };
        *holder = Holder::Leaving(cpu);
        self.leaving.push((number, entry.incarnation));
        self.clear(cpu.into(), number, &entry.key);
        true
    }

    /// Clears the place that leads to an entry, if there is one.
    fn clear(&self, cpu: u32, number: u32, key: &FlowKey) {
        let hash = spread(&key.to_words(), &self.seeds);
        let home = index::home(hash, self.sizes.shift());
        let line = cpu * self.sizes.lines() + index::line(home);
        for way in 0..WAYS {
            let offset = way as usize * size_of::<u32>();
            let Some(place) = self.memory.index.read_u32(line, offset) else { return };
            if place == index::place(number, hash) {
                // Should its CPU have changed it, that is not undone.
                self.memory.index.replace_u32(line, offset, place, 0);
            }
        }
    }

    /// Begins to wait for those that are leaving.
    pub(super) fn part(&mut self) {
        if !self.leaving.is_empty() {
            self.grace.begin();
        }
    }

    /// Those that no program can reach any more unless it has given them to another flow; with the incarnation that they have
    /// to have still. Each has to be followed by [`Pool::free`] or [`Pool::keep`].
    pub(super) fn parted(&mut self) -> Vec<(u32, u16)> {
        match self.grace.end() {
            None => Vec::new(),
            Some(true) => std::mem::take(&mut self.leaving),
            Some(false) => {
                for (number, _) in std::mem::take(&mut self.leaving) {
                    self.keep(number);
                }
                Vec::new()
            }
        }
    }

    /// Another flow has got it before it could leave, or it could not be read.
    pub(super) fn keep(&mut self, number: u32) {
        if let Some(holder) = self.holders.get_mut(number as usize)
            && let Holder::Leaving(cpu) = *holder
        {
            *holder = Holder::Flow(cpu);
        }
    }

    /// The entry has been read to the end.
    pub(super) fn free(&mut self, number: u32) {
        let Some(holder) = self.holders.get_mut(number as usize) else { return };
        if let Holder::Leaving(cpu) = *holder
            && let Some(reserve) = self.reserves.get_mut(usize::from(cpu))
        {
            *holder = Holder::Free;
            reserve.owned -= 1;
            self.free.push(number);
            self.used -= 1;
        }
    }
}

/// The kernel has no more of them (`CONFIG_NR_CPUS`).
fn of_cpu(cpu: u32) -> u16 {
    u16::try_from(cpu).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests;
