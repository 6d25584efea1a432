//! The flow table: a set-associative cache, one section per CPU.
//!
//! A hit updates its entry in place (`entry.rs`). A miss takes a free entry of its set, or the one that has been quiet
//! longest; what stood there goes out through the ring first. If the ring is full the old entry stays, and the packet is
//! counted under [`Outcome::FlowTableFull`]: nothing that was counted is ever lost.
//!
//! Each entry is written by one CPU, under disabled bottom halves: TC programs run in softirq, or in a process that has
//! them disabled while it transmits, so one never interrupts another on its CPU. Should it happen all the same, the
//! inner one finds the sequence number odd and counts its packet under [`Outcome::FlowEntryBusy`].

use core::sync::atomic::{Ordering, compiler_fence};

use aya_ebpf::programs::TcContext;
use netwatch_common::{
    config::FLOW_WAYS,
    flow::{EvictedFlow, FlowEntry, FlowKey, WORDS, spread},
    outcome::Outcome,
    parse::{Headers, Packet},
    sample::INGRESS,
};

use crate::{
    entry,
    maps::{CPUS, EVICTED, FLOW_SETS, FLOWS, HASH_SEEDS},
    skb::Weight,
    tcp,
    verifier::{any_of, any_pointer},
};

/// One packet at one hook, as this CPU sees it.
pub struct Sighting<'a> {
    pub ctx: &'a TcContext,
    /// Number of the CPU, whose section of the table this is.
    pub number: u32,
    /// Slot of the interface.
    pub slot: u32,
    pub packet: &'a Packet,
    pub weight: Weight,
}

/// Counts a packet in its flow.
#[inline(always)]
pub fn count<const HOOK: u8, const TCP: bool>(seen: &Sighting<'_>) -> Result<(), Outcome> {
    let key = key::<HOOK>(seen.packet, seen.slot);
    let Home { set, way: home } = home_of(&key, seen.number);
    // No set: only for a table of another size than the loader told us.
    let ways = FLOWS.get_ptr_mut(set).ok_or(Outcome::FlowTableFull)?.cast::<FlowEntry>();
    let now = entry::time_of::<TCP>(seen);
    let known = find(ways, &key);
    let way = any_of(FLOW_WAYS, known.unwrap_or_else(|| victim(ways, home)), key[WORDS - 1]);
    // SAFETY: within the set.
    let entry = unsafe { ways.add(way as usize) };
    let is_new =
        known.is_none() || (TCP && tcp::is_another_connection::<HOOK>(entry, seen.packet, now));
    if is_new {
        write_out(seen.number, set * FLOW_WAYS + way, entry)?;
    }
    let sequence = begin_write(entry)?;
    // SAFETY: a valid element; only this CPU writes it, and it does not do so twice at a time.
    let content = unsafe { &mut *entry };
    if is_new {
        entry::open(content, &key);
    }
    entry::update::<HOOK, TCP>(seen, content, now);
    end_write(entry, sequence);
    Ok(())
}

/// The entry of a flow on this CPU, if it has one.
#[inline(always)]
pub fn known<P: Headers>(key: &[u64; WORDS], number: u32) -> Option<*mut FlowEntry> {
    let home = home_of(key, number);
    let ways = FLOWS.get_ptr_mut(home.set)?.cast::<FlowEntry>();
    // SAFETY: within the set.
    let at = |way: u64| unsafe { ways.add(way as usize) };
    if holds::<P>(at(home.way), key) {
        return Some(at(home.way));
    }
    (0..u64::from(FLOW_WAYS)).map(at).find(|entry| holds::<P>(*entry, key))
}

/// Notes an ICMP error message in the flow of the packet that it quotes. Where this CPU has no entry of that flow it gets
/// one without packets: others may have seen those.
#[inline(always)]
pub fn mark_error<const HOOK: u8>(number: u32, slot: u32, packet: &Packet, kind: u8, code: u8) {
    let key = key::<HOOK>(packet, slot);
    let Home { set, way: home } = home_of(&key, number);
    let Some(ways) = FLOWS.get_ptr_mut(set) else { return };
    let ways = ways.cast::<FlowEntry>();
    let known = find(ways, &key);
    let way = any_of(FLOW_WAYS, known.unwrap_or_else(|| victim(ways, home)), key[WORDS - 1]);
    // SAFETY: within the set.
    let entry = unsafe { ways.add(way as usize) };
    if known.is_none() && write_out(number, set * FLOW_WAYS + way, entry).is_err() {
        return;
    }
    let Ok(sequence) = begin_write(entry) else { return };
    // SAFETY: as in `count`.
    let content = unsafe { &mut *entry };
    if known.is_none() {
        entry::open(content, &key);
    }
    content.error_type = kind;
    content.error_code = code;
    end_write(entry, sequence);
}

/// The flow key, seen from the interface: local is the end that transmits into it. In the words of [`FlowKey`], which
/// has no padding.
#[inline(always)]
pub fn key<const HOOK: u8>(packet: &impl Headers, slot: u32) -> [u64; WORDS] {
    let (protocol, family) = (packet.protocol(), packet.family());
    let source = FlowKey::words(packet.source(), family);
    let destination = FlowKey::words(packet.destination(), family);
    let (local, remote, ports) = if HOOK == INGRESS {
        (source, destination, packet.ports())
    } else {
        (destination, source, packet.ports().rotate_left(16))
    };
    let rest = u64::from(slot) << 32 | u64::from(protocol) << 48 | u64::from(family) << 56;
    [local[0], local[1], remote[0], remote[1], u64::from(ports) | rest]
}

/// Where a flow is looked for first, and put if it is free: so that nearly every flow is found at once.
struct Home {
    set: u32,
    way: u64,
}

/// The home of a key in the section of a CPU.
#[inline(always)]
fn home_of(key: &[u64; WORDS], number: u32) -> Home {
    let seeds: *const [u64; WORDS] = any_pointer((&raw const HASH_SEEDS).cast());
    // SAFETY: the global holds so many words.
    let hash = spread(key, unsafe { &*seeds });
    let sets = FLOW_SETS.load();
    // A place in the section: its whole part is the set, its fraction the way.
    let place = u64::from(hash) * u64::from(sets);
    Home {
        set: number * sets + (place >> 32) as u32,
        way: (place & u64::from(u32::MAX)) * u64::from(FLOW_WAYS) >> 32,
    }
}

/// In which way of its set a flow stands.
#[inline(always)]
fn find(ways: *const FlowEntry, key: &[u64; WORDS]) -> Option<u32> {
    (0..FLOW_WAYS).find(|way| {
        // SAFETY: within the set.
        holds::<Packet>(unsafe { ways.add(*way as usize) }, key)
    })
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

/// The free entry of a set, else the one that has been quiet longest.
#[inline(always)]
fn victim(ways: *const FlowEntry, home: u64) -> u32 {
    let mut chosen = home as u32;
    // SAFETY: within the set.
    let mut quietest = unsafe { (*ways.add(home as usize)).last_ns() };
    for way in 0..FLOW_WAYS {
        // SAFETY: within the set.
        let last = unsafe { (*ways.add(way as usize)).last_ns() };
        if last < quietest {
            quietest = last;
            chosen = way;
        }
    }
    chosen
}

/// Hands out what stands in an entry that has to give way.
#[inline(always)]
fn write_out(number: u32, index: u32, entry: *const FlowEntry) -> Result<(), Outcome> {
    // SAFETY: a valid element.
    if unsafe { (*entry).is_free() } {
        return Ok(());
    }
    let mut record = EVICTED.reserve_untyped::<EvictedFlow>(0).ok_or(Outcome::FlowTableFull)?;
    let out = record.as_mut_ptr();
    // SAFETY: the ring gave us a whole record; the entry is a valid element that only this CPU writes.
    unsafe {
        (*out).index = index;
        (*out).pad = 0;
        copy((&raw mut (*out).entry).cast(), entry.cast());
    }
    record.submit(0);
    if let Some(state) = CPUS.get_ptr_mut(number) {
        // SAFETY: a valid element; only this CPU writes it.
        unsafe { (*state).evictions += 1 };
    }
    Ok(())
}

/// Copies an entry word by word. An assignment would become a call of memmove, which the verifier refuses.
#[inline(always)]
unsafe fn copy(to: *mut u64, from: *const u64) {
    for word in 0..size_of::<FlowEntry>() / 8 {
        // SAFETY: both are whole, aligned entries, as the caller promises.
        unsafe { to.add(word).write_volatile(from.add(word).read()) };
    }
}

/// Begins to change an entry: its sequence number is odd from here to [`end_write`], for readers on other CPUs.
///
/// The fences keep the compiler from moving stores out of the bracket. On x86-64 stores become visible in order; arm64
/// would need a release store for the second one.
#[inline(always)]
pub fn begin_write(entry: *mut FlowEntry) -> Result<u32, Outcome> {
    // SAFETY: a valid element.
    let sequence = unsafe { &raw mut (*entry).sequence };
    // SAFETY: as above; written by this CPU only.
    let before = unsafe { sequence.read_volatile() };
    if before & 1 != 0 {
        return Err(Outcome::FlowEntryBusy);
    }
    // SAFETY: as above.
    unsafe { sequence.write_volatile(before + 1) };
    compiler_fence(Ordering::SeqCst);
    Ok(before)
}

#[inline(always)]
pub fn end_write(entry: *mut FlowEntry, before: u32) {
    compiler_fence(Ordering::SeqCst);
    // SAFETY: a valid element, written by this CPU only.
    unsafe { (&raw mut (*entry).sequence).write_volatile(before.wrapping_add(2)) };
}
