//! The flow table: a pool of entries, and for each CPU an index of those that are its own (`index.rs`).
//!
//! A hit updates its entry in place (`entry.rs`). A miss takes an entry that is free, or the one of its line that has been
//! quiet longest; what stood there goes out through the ring first. If the ring is full the old entry stays, and the packet is
//! counted under [`Outcome::FlowTableFull`]: nothing that was counted is ever lost.
//!
//! Each entry is written by one CPU, under disabled bottom halves: TC programs run in softirq, or in a process that has
//! them disabled while it transmits, so one never interrupts another on its CPU. Should it happen all the same, the
//! inner one finds the sequence number odd and counts its packet under [`Outcome::FlowEntryBusy`].

use core::sync::atomic::{Ordering, compiler_fence};

use netwatch_common::{
    flow::{EvictedFlow, FlowEntry, FlowKey, WORDS},
    index::NO_ENTRY,
    outcome::Outcome,
    parse::{Headers, Packet},
    sample::INGRESS,
};

use crate::{
    entry,
    index::Lookup,
    maps::{CPUS, EVICTED, FLOWS},
    skb::{Skb, Weight},
    tcp,
};

/// One packet at one hook, as this CPU sees it.
pub struct Sighting<'a> {
    pub ctx: &'a Skb,
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
    // No line: only for an index of another size than the loader told us.
    let lookup = Lookup::of(&key, seen.number).ok_or(Outcome::FlowTableFull)?;
    let now = entry::time_of::<TCP>(seen);
    let known = lookup.find(&key);
    let is_known = known != NO_ENTRY;
    let number = if is_known { known } else { lookup.begin()? };
    let entry = FLOWS.get_ptr_mut(number).ok_or(Outcome::FlowTableFull)?;
    let is_another = TCP && is_known && tcp::is_another_connection::<HOOK>(entry, seen.packet, now);
    if is_another && !write_out(seen.number, number) {
        return Err(Outcome::FlowTableFull);
    }
    let sequence = begin_write(entry)?;
    // SAFETY: a valid element; only this CPU writes it, and it does not do so twice at a time.
    let content = unsafe { &mut *entry };
    if is_another || !is_known {
        entry::open(content, &key);
    }
    entry::update::<HOOK, TCP>(seen, content, now);
    end_write(entry, sequence);
    Ok(())
}

/// The entry of a flow on this CPU, if that is found at once.
#[inline(always)]
pub fn known<P: Headers>(key: &[u64; WORDS], number: u32) -> Option<*mut FlowEntry> {
    Lookup::of(key, number)?.fast::<P>(key)
}

/// Notes an ICMP error message in the flow of the packet that it quotes. Where this CPU has no entry of that flow it gets
/// one without packets: others may have seen those.
#[inline(always)]
pub fn mark_error<const HOOK: u8>(cpu: u32, slot: u32, packet: &Packet, kind: u8, code: u8) {
    let key = key::<HOOK>(packet, slot);
    let Some(lookup) = Lookup::of(&key, cpu) else { return };
    let known = lookup.find(&key);
    let is_known = known != NO_ENTRY;
    let Ok(number) = (if is_known { Ok(known) } else { lookup.begin() }) else { return };
    let Some(entry) = FLOWS.get_ptr_mut(number) else { return };
    let Ok(sequence) = begin_write(entry) else { return };
    // SAFETY: as in `count`.
    let content = unsafe { &mut *entry };
    if !is_known {
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

/// Hands out what stands in an entry that has to give way, unless it is being written. Whether the ring had room for it.
///
/// Not inlined: a whole entry is copied word by word, from three places of the code.
#[inline(never)]
pub fn write_out(cpu: u32, number: u32) -> bool {
    let Some(entry) = FLOWS.get_ptr(number) else { return false };
    // SAFETY: a valid element.
    if unsafe { (*entry).sequence } & 1 != 0 {
        return false;
    }
    let Some(mut record) = EVICTED.reserve_untyped::<EvictedFlow>(0) else { return false };
    let out = record.as_mut_ptr();
    // SAFETY: the ring gave us a whole record; the entry is a valid element that only this CPU writes.
    unsafe {
        (*out).index = number;
        (*out).pad = 0;
        copy((&raw mut (*out).entry).cast(), entry.cast());
    }
    record.submit(0);
    if let Some(state) = CPUS.get_ptr_mut(cpu) {
        // SAFETY: a valid element; only this CPU writes it.
        unsafe { (*state).evictions += 1 };
    }
    true
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
