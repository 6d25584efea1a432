//! The pool, with this test in the place of the kernel's programs.

use std::{thread, time::Duration};

use proptest::prelude::*;

use super::*;

const CPUS: u32 = 2;

/// A pool, and flows that a program would have put into the index.
struct Bed {
    pool: Pool,
    entries: Vec<FlowEntry>,
    /// Entries that flows have, by CPU.
    held: Vec<Vec<u32>>,
    flows: u64,
}

impl Bed {
    fn new(entries: u32) -> Self {
        let sizes = Sizes::of(entries, CPUS);
        let memory = Memory {
            index: SharedArray::anonymous(sizes.lines() * CPUS).unwrap(),
            reserve: SharedArray::anonymous(sizes.reserve * CPUS).unwrap(),
            states: SharedArray::anonymous(CPUS).unwrap(),
        };
        Self {
            pool: Pool::new(memory, sizes, [1, 3, 5, 7, 9]),
            entries: vec![FlowEntry::default(); sizes.entries as usize],
            held: vec![Vec::new(); CPUS as usize],
            flows: 0,
        }
    }

    /// What `netwatch-ebpf/src/index.rs` does for a new flow, last seen at this time; whether there was an entry.
    fn begin(&mut self, cpu: u32, last_ns: u64) -> bool {
        let memory = &self.pool.memory;
        let state = memory.states.read(cpu).unwrap();
        if state.taken == state.given {
            return false;
        }
        let size = self.pool.sizes.reserve;
        let number = u32::try_from(memory.reserve.read(cpu * size + state.taken % size).unwrap());
        let number = number.unwrap();
        memory.states.write_u32(cpu, offset_of!(CpuState, taken), state.taken.wrapping_add(1));
        assert!(self.held.iter().all(|held| !held.contains(&number)), "{number} is given twice");
        self.held[cpu as usize].push(number);
        self.flows += 1;
        let entry = &mut self.entries[number as usize];
        entry.key = FlowKey { local: [0, self.flows], family: 4, ..FlowKey::default() };
        entry.incarnation += 1;
        entry.ingress.last_ns = last_ns;
        self.link(cpu, number);
        true
    }

    /// The first free place of its line leads to an entry; where there is none it stays outside.
    fn link(&self, cpu: u32, number: u32) {
        let (line, hash) = self.line(cpu, number);
        for way in 0..WAYS {
            if self.place(line, way) == 0 {
                let place = index::place(number, hash);
                return self.pool.memory.index.write_u32(line, way as usize * 4, place);
            }
        }
    }

    fn line(&self, cpu: u32, number: u32) -> (u32, u32) {
        let hash = spread(&self.entries[number as usize].key.to_words(), &self.pool.seeds);
        let home = index::home(hash, self.pool.sizes.shift());
        (cpu * self.pool.sizes.lines() + index::line(home), hash)
    }

    fn place(&self, line: u32, way: u32) -> u32 {
        self.pool.memory.index.read_u32(line, way as usize * 4).unwrap()
    }

    fn is_linked(&self, cpu: u32, number: u32) -> bool {
        let (line, _) = self.line(cpu, number);
        (0..WAYS).any(|way| index::entry(self.place(line, way)) == number)
    }

    /// Offers all entries to be taken back, and waits until those that leave have parted.
    fn take_back(&mut self, now_ns: u64) -> Vec<(u32, u16)> {
        self.pool.supply();
        for number in 0..self.pool.sizes.entries {
            self.pool.take_back(number, &self.entries[number as usize], now_ns);
        }
        self.pool.part();
        if self.pool.leaving.is_empty() {
            return Vec::new();
        }
        loop {
            let parted = self.pool.parted();
            if !parted.is_empty() {
                return parted;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn in_reserves(&self) -> u32 {
        let states = (0..CPUS).map(|cpu| self.pool.memory.states.read(cpu).unwrap());
        states.map(|state| state.given.wrapping_sub(state.taken)).sum()
    }
}

#[test]
fn the_flow_table_costs_the_same_on_every_host() {
    for cpus in [1, 2, 3, 6, 8, 64, 128, 200] {
        let sizes = Sizes::of(1 << 17, cpus);
        assert_eq!(sizes.entries, 1 << 17);
        let places = cpus * sizes.lines() * WAYS;
        assert!(places <= 8 * sizes.entries, "{cpus} CPUs: {places} places");
        assert!(cpus * sizes.reserve <= sizes.entries / 4, "{sizes:?}");
    }
    let least = Sizes::of(1, 128);
    assert_eq!((least.entries, least.lines(), least.reserve), (129, 1, 1));
}

#[test]
fn one_cpu_can_have_nearly_all() {
    let mut bed = Bed::new(1 << 12);
    let mut had = 0;
    while bed.begin(0, 1) {
        had += 1;
        bed.pool.supply();
    }
    // The other CPU keeps its reserve.
    assert_eq!(had, (1 << 12) - 1 - bed.pool.sizes.reserve);
    assert_eq!(bed.pool.used(), had);
}

#[test]
fn what_is_quiet_is_taken_back_and_nothing_else() {
    let mut bed = Bed::new(64);
    let now = 10 * QUIET_NS;
    while bed.begin(0, now - QUIET_NS) {}
    for _ in 0..8 {
        while bed.begin(1, now - QUIET_NS + 1) {}
        bed.pool.supply();
    }
    let (quiet, busy) = (bed.held[0].clone(), bed.held[1].clone());
    // Some found no place in their line.
    let linked = |bed: &Bed| busy.iter().filter(|number| bed.is_linked(1, **number)).count();
    let before = linked(&bed);
    let parted: Vec<u32> = bed.take_back(now).into_iter().map(|(number, _)| number).collect();
    let sorted = |mut numbers: Vec<u32>| {
        numbers.sort_unstable();
        numbers
    };
    assert_eq!(sorted(parted), sorted(quiet.clone()));
    assert!(quiet.iter().all(|number| !bed.is_linked(0, *number)), "a place still leads there");
    assert_eq!(linked(&bed), before, "a place was cleared");
    // One of them is another flow's by now.
    bed.pool.keep(quiet[0]);
    quiet[1..].iter().for_each(|number| bed.pool.free(*number));
    assert!(bed.pool.is_used(quiet[0]));
    assert!(!bed.pool.is_used(quiet[1]));
    assert_eq!(bed.pool.used() as usize, busy.len() + 1);
}

#[test]
fn a_cpu_that_takes_without_end_does_not_starve_another() {
    let mut bed = Bed::new(1 << 10);
    let reserve = bed.pool.sizes.reserve;
    let mut now = QUIET_NS;
    for _ in 0..10 {
        now += 2 * QUIET_NS;
        // One CPU's flows are always busy, those of the other go quiet.
        for _ in 0..8 {
            while bed.begin(0, u64::MAX - QUIET_NS) {}
            while bed.begin(1, now - QUIET_NS) {}
            bed.pool.supply();
        }
        for (number, _) in bed.take_back(now) {
            bed.held.iter_mut().for_each(|held| held.retain(|it| *it != number));
            bed.pool.free(number);
        }
        bed.pool.supply();
        assert!(bed.pool.reserves[1].owned >= reserve, "{}", bed.pool.reserves[1].owned);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens in whatever order, an entry is in one place only.
    #[test]
    fn every_entry_is_somewhere_once(steps in prop::collection::vec((0..4u8, 0..CPUS, 0..40u32), 1..40)) {
        let mut bed = Bed::new(100);
        for (step, cpu, count) in steps {
            match step {
                0 => {
                    let _ = (0..count).take_while(|_| bed.begin(cpu, u64::from(count))).count();
                }
                1 => bed.pool.supply(),
                _ => {
                    let limit = if step == 2 { 20 } else { 40 };
                    for (number, incarnation) in bed.take_back(QUIET_NS + limit) {
                        prop_assert_eq!(bed.entries[number as usize].incarnation, incarnation);
                        bed.held.iter_mut().for_each(|held| held.retain(|it| *it != number));
                        bed.pool.free(number);
                    }
                }
            }
            let held: usize = bed.held.iter().map(Vec::len).sum();
            let all = bed.pool.free.len() + bed.in_reserves() as usize + held;
            prop_assert_eq!(all, 100 - 1);
            let mut free = bed.pool.free.clone();
            free.sort_unstable();
            free.dedup();
            prop_assert_eq!(free.len(), bed.pool.free.len());
        }
    }
}
