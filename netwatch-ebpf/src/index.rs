//! The index: where this CPU finds the entry of a flow, and which one it gives to a new flow.
//!
//! A look-up goes by one place of the index (`netwatch-common/src/index.rs`) to one entry of the pool, for nearly every
//! packet. A new flow takes an entry out of this CPU's reserve, which the agent keeps filled. Only where that is used up, or
//! the flow's line is full, another flow of this CPU has to give way (`flow::write_out`).

use netwatch_common::{
    config::INDEX_SWEEP,
    flow::{FlowEntry, WORDS, spread},
    index::{self, Line, WAYS},
    outcome::Outcome,
    parse::{Headers, Packet},
};

use crate::{
    flow,
    maps::{CPUS, FLOWS, HASH_SEEDS, INDEX, INDEX_LINES, INDEX_SHIFT, RESERVE, RESERVE_ENTRIES},
    verifier::{any, any_of, any_pointer},
};

/// Where a flow is looked for on this CPU.
pub struct Lookup {
    /// Number of the CPU.
    cpu: u32,
    hash: u32,
    /// Its first place, in the CPU's section.
    home: u32,
    line: *mut Line,
}

impl Lookup {
    #[inline(always)]
    pub fn of(key: &[u64; WORDS], cpu: u32) -> Option<Self> {
        let seeds: *const [u64; WORDS] = any_pointer((&raw const HASH_SEEDS).cast());
        // SAFETY: the global holds so many words.
        let hash = spread(key, unsafe { &*seeds });
        let home = index::home(hash, INDEX_SHIFT.load());
        let line = INDEX.get_ptr_mut(cpu * INDEX_LINES.load() + index::line(home))?;
        Some(Self { cpu, hash, home, line })
    }

    #[inline(always)]
    fn place(&self, way: u32) -> *mut u32 {
        way_of(self.line, way)
    }

    /// The entry in a place, whose ever it is.
    #[inline(always)]
    fn at(&self, way: u32) -> Option<*mut FlowEntry> {
        // SAFETY: within the line.
        FLOWS.get_ptr_mut(index::entry(unsafe { *self.place(way) }))
    }

    /// The first place behind which the flow may be, by its tag.
    #[inline(always)]
    fn first(&self) -> Option<u32> {
        // SAFETY: within the line.
        (0..WAYS).find(|way| index::may_be(unsafe { *self.place(*way) }, self.hash))
    }

    /// The entry of the flow, if it is where nearly every flow is.
    #[inline(always)]
    pub fn fast<P: Headers>(&self, key: &[u64; WORDS]) -> Option<*mut FlowEntry> {
        let at_home = self.at(index::way(self.home))?;
        if holds::<P>(at_home, key) {
            return Some(at_home);
        }
        self.at(self.first()?).filter(|entry| holds::<P>(*entry, key))
    }

    /// The number of the flow's entry, or [`index::NO_ENTRY`].
    #[inline(always)]
    pub fn find(&self, key: &[u64; WORDS]) -> u32 {
        let mut found = index::NO_ENTRY;
        for way in 0..WAYS {
            // SAFETY: within the line.
            let place = unsafe { *self.place(way) };
            if !index::may_be(place, self.hash) {
                continue;
            }
            let number = index::entry(place);
            if FLOWS.get_ptr(number).is_some_and(|entry| holds::<Packet>(entry, key)) {
                found = number;
                break;
            }
        }
        any(found.into(), key[WORDS - 1]) as u32
    }

    /// The number of an entry for a new flow, to which its place leads from now on. What stood there has been written out.
    #[inline(always)]
    pub fn begin(&self) -> Result<u32, Outcome> {
        let room = room(self.cpu, self.home);
        let (number, way) = (room as u32, (room >> 32) as u32);
        if number == index::NO_ENTRY {
            return Err(Outcome::FlowTableFull);
        }
        // SAFETY: within the line; beside the agent, which may write a 0, only this CPU writes it.
        unsafe { *self.place(way) = index::place(number, self.hash) };
        Ok(number)
    }
}

/// The last word first: ports, slot and protocol tell most flows of a host apart.
#[inline(always)]
fn holds<P: Headers>(entry: *const FlowEntry, key: &[u64; WORDS]) -> bool {
    // SAFETY: a valid element; the key has the size and alignment of the words. Compared word by word: a derived `==`
    // would become a call of memcmp.
    let stored = unsafe { &*(&raw const (*entry).key).cast::<[u64; WORDS]>() };
    // Of IPv4, which the last word tells, the first halves of the addresses are zero in any key.
    let halves = if P::IS_IPV4 { 0 } else { (stored[0] ^ key[0]) | (stored[2] ^ key[2]) };
    stored[4] == key[4] && stored[1] == key[1] && stored[3] == key[3] && halves == 0
}

/// An entry for a new flow in its lower half, and in its upper half the way in the flow's line that is to lead to it.
///
/// Not inlined: what an established flow costs is not to depend on this. Known by its name, which makes it what the kernel calls
/// a global function: the verifier goes through it once, and not once for each of the ways that lead here.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn room(cpu: u32, home: u32) -> u64 {
    let Some(line) = line_at(cpu, index::line(home)) else { return 0 };
    if let Some(way) = free(line, index::way(home)) {
        let number = take(cpu);
        if number != index::NO_ENTRY {
            return packed(any_of(WAYS, way, number.into()), number);
        }
    }
    let own = index::line(home);
    let from = if is_empty(line) { elsewhere(cpu) } else { own };
    let Some(line) = line_at(cpu, from) else { return 0 };
    let way = oldest(line, index::way(home)).or_else(|| used(line));
    let Some(way) = way else { return 0 };
    let way = any_of(WAYS, way, home.into());
    let place = way_of(line, way);
    // SAFETY: within the line.
    let number = index::entry(unsafe { place.read_volatile() });
    // The agent may have cleared the place just now.
    if number == index::NO_ENTRY || !flow::write_out(cpu, number) {
        return 0;
    }
    if from == own {
        return packed(way, number);
    }
    // SAFETY: within the line.
    unsafe { place.write_volatile(0) };
    packed(index::way(home), number)
}

#[inline(always)]
fn packed(way: u32, number: u32) -> u64 {
    u64::from(way) << 32 | u64::from(number)
}

#[inline(always)]
fn line_at(cpu: u32, line: u32) -> Option<*mut Line> {
    INDEX.get_ptr_mut(cpu * INDEX_LINES.load() + line)
}

/// A place of the line that leads nowhere; this one, if it is one.
#[inline(always)]
fn free(line: *mut Line, home: u32) -> Option<u32> {
    // SAFETY: within the line.
    (0..WAYS).map(|step| home ^ step).find(|way| unsafe { way_of(line, *way).read_volatile() } == 0)
}

/// An entry out of the reserve, or [`index::NO_ENTRY`].
#[inline(always)]
fn take(cpu: u32) -> u32 {
    let Some(state) = CPUS.get_ptr_mut(cpu) else { return index::NO_ENTRY };
    // SAFETY: a valid element. The agent writes `given` after the entries up to it, and only this CPU writes `taken`.
    let (taken, given) = unsafe { ((*state).taken, (&raw const (*state).given).read_volatile()) };
    if taken == given {
        return index::NO_ENTRY;
    }
    let size = RESERVE_ENTRIES.load();
    let Some(entry) = RESERVE.get(cpu * size + (taken & (size - 1))) else {
        return index::NO_ENTRY;
    };
    let number = *entry as u32;
    // SAFETY: as above.
    unsafe { (&raw mut (*state).taken).write_volatile(taken + 1) };
    number
}

/// Of the four places around this one, that whose entry has been quiet longest.
#[inline(always)]
fn oldest(line: *mut Line, home: u32) -> Option<u32> {
    let mut chosen = u64::MAX;
    for step in 0..4 {
        chosen = chosen.min(quiet_since(line, home ^ step));
    }
    (chosen != u64::MAX).then_some(chosen as u32 % WAYS)
}

/// When the entry in a place was last written; in the lowest bits the way, so that the verifier has one number to follow.
#[inline(always)]
fn quiet_since(line: *mut Line, way: u32) -> u64 {
    // SAFETY: within the line.
    let number = index::entry(unsafe { way_of(line, way).read_volatile() });
    if number == index::NO_ENTRY {
        return u64::MAX;
    }
    let Some(entry) = FLOWS.get_ptr_mut(number) else { return u64::MAX };
    // SAFETY: a valid element.
    let last = unsafe { (*entry).last_ns() };
    last & !u64::from(WAYS - 1) | u64::from(way)
}

/// The first place of the line that leads to an entry.
#[inline(always)]
fn used(line: *mut Line) -> Option<u32> {
    // SAFETY: within the line.
    (0..WAYS).find(|way| unsafe { way_of(line, *way).read_volatile() } != 0)
}

#[inline(always)]
fn way_of(line: *mut Line, way: u32) -> *mut u32 {
    // SAFETY: within the line.
    unsafe { line.cast::<u32>().add((way % WAYS) as usize) }
}

/// Whether no place of the line leads anywhere.
#[inline(always)]
fn is_empty(line: *const Line) -> bool {
    let doubles = line.cast::<u64>();
    let mut all = 0;
    for at in 0..WAYS as usize / 2 {
        // SAFETY: within the line. Volatile: a fold of it would become a loop of single places.
        all |= unsafe { doubles.add(at).read_volatile() };
    }
    all == 0
}

/// The next line of the CPU's section that is not empty, as far as is looked.
#[inline(never)]
fn elsewhere(cpu: u32) -> u32 {
    let Some(state) = CPUS.get_ptr_mut(cpu) else { return 0 };
    let mask = INDEX_LINES.load() - 1;
    // SAFETY: a valid element; only this CPU writes it.
    let hand = unsafe { &mut (*state).hand };
    for _ in 0..INDEX_SWEEP {
        *hand = (*hand + 1) & mask;
        if line_at(cpu, *hand).is_none_or(|line| !is_empty(line)) {
            break;
        }
    }
    *hand
}
