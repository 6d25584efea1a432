//! The flow table: a set-associative cache, one section per CPU.
//!
//! A hit updates its entry in place. A miss takes a free entry of its set, or the one that has been quiet longest; what
//! stood there goes out through the ring first. If the ring is full the old entry stays, and the packet is counted
//! under [`Outcome::FlowTableFull`]: nothing that was counted is ever lost.
//!
//! Each entry is written by one CPU, under disabled bottom halves: TC programs run in softirq, or in a process that has
//! them disabled while it transmits, so one never interrupts another on its CPU. Should it happen all the same, the
//! inner one finds the sequence number odd and counts its packet under [`Outcome::FlowEntryBusy`].

use core::sync::atomic::{Ordering, compiler_fence};

use netwatch_common::{
    config::FLOW_WAYS,
    flow::{EvictedFlow, FlowEntry, FlowKey, Half, Tally},
    outcome::Outcome,
    parse::{Packet, protocol, tcp_flags},
    sample::INGRESS,
};

use crate::{
    clock,
    maps::{CPUS, EVICTED, FLOW_SET_MASK, FLOWS, HASH_SEED},
};

const WORDS: usize = size_of::<FlowKey>() / 8;

/// After a connection has ended, packets with its key that come later than this are another one.
const ENDED_FOR_GOOD_NS: u64 = 2_000_000_000;

/// Counts a packet in its flow.
#[inline(always)]
pub fn count<const HOOK: u8>(
    cpu: u32,
    key: &FlowKey,
    packet: &Packet,
    weight: &Tally,
) -> Result<(), Outcome> {
    let words = words(key);
    let mask = FLOW_SET_MASK.load();
    let set = cpu * (mask + 1) + (hash(&words) as u32 & mask);
    let first = set * FLOW_WAYS;

    for way in 0..FLOW_WAYS {
        let entry = FLOWS.get_ptr_mut(first + way).ok_or(Outcome::FlowTableFull)?;
        if holds(entry, &words) {
            let now = time_of(packet);
            if is_another_connection(entry, packet, now) {
                return replace::<HOOK>(cpu, first + way, entry, key, packet, weight);
            }
            return write(entry, |entry| update::<HOOK>(entry, packet, weight, now));
        }
    }
    let (index, entry) = victim(first)?;
    replace::<HOOK>(cpu, index, entry, key, packet, weight)
}

/// The free entry of a set, else the one that has been quiet longest.
#[inline(always)]
fn victim(first: u32) -> Result<(u32, *mut FlowEntry), Outcome> {
    let mut index = first;
    let mut quietest = u64::MAX;
    for way in 0..FLOW_WAYS {
        let entry = FLOWS.get_ptr_mut(first + way).ok_or(Outcome::FlowTableFull)?;
        // SAFETY: a valid element.
        let last = unsafe { (*entry).last_ns() };
        if last < quietest {
            quietest = last;
            index = first + way;
        }
    }
    Ok((index, FLOWS.get_ptr_mut(index).ok_or(Outcome::FlowTableFull)?))
}

/// Writes out what stands in an entry and starts a new flow there.
#[inline(always)]
fn replace<const HOOK: u8>(
    cpu: u32,
    index: u32,
    entry: *mut FlowEntry,
    key: &FlowKey,
    packet: &Packet,
    weight: &Tally,
) -> Result<(), Outcome> {
    // SAFETY: a valid element.
    if unsafe { (*entry).sequence } != 0 {
        write_out(cpu, index, entry)?;
    }
    let now = clock::exact();
    write(entry, |entry| {
        entry.incarnation = entry.incarnation.wrapping_add(1);
        entry.key = *key;
        clear(&mut entry.ingress);
        clear(&mut entry.egress);
        update::<HOOK>(entry, packet, weight, now);
    })
}

#[inline(always)]
fn write_out(cpu: u32, index: u32, entry: *const FlowEntry) -> Result<(), Outcome> {
    let mut record = EVICTED.reserve_untyped::<EvictedFlow>(0).ok_or(Outcome::FlowTableFull)?;
    let out = record.as_mut_ptr();
    // SAFETY: the ring gave us a whole record; the entry is a valid element that only this CPU writes.
    unsafe {
        (*out).index = index;
        (*out).pad = 0;
        copy((&raw mut (*out).entry).cast(), entry.cast());
    }
    record.submit(0);
    if let Some(state) = CPUS.get_ptr_mut(cpu) {
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

/// Zeroes half an entry word by word. An assignment would become a call of memset.
#[inline(always)]
fn clear(half: &mut Half) {
    let words = (&raw mut *half).cast::<u64>();
    for word in 0..size_of::<Half>() / 8 {
        // SAFETY: within the half, which has the alignment of a word.
        unsafe { words.add(word).write_volatile(0) };
    }
}

/// Brackets a change of an entry with its sequence number, for readers on other CPUs.
///
/// The fences keep the compiler from moving stores out of the bracket. On x86-64 stores become visible in order; arm64
/// would need a release store for the second one.
#[inline(always)]
fn write(entry: *mut FlowEntry, change: impl FnOnce(&mut FlowEntry)) -> Result<(), Outcome> {
    // SAFETY: a valid element, written by this CPU only.
    unsafe {
        let sequence = &raw mut (*entry).sequence;
        let before = sequence.read_volatile();
        if before & 1 != 0 {
            return Err(Outcome::FlowEntryBusy);
        }
        sequence.write_volatile(before | 1);
        compiler_fence(Ordering::SeqCst);
        change(&mut *entry);
        compiler_fence(Ordering::SeqCst);
        // 0 means never used: skip it when the number wraps.
        let after = before.wrapping_add(2);
        sequence.write_volatile(if after == 0 { 2 } else { after });
    }
    Ok(())
}

/// A packet's bytes are counted here.
#[inline(always)]
fn update<const HOOK: u8>(entry: &mut FlowEntry, packet: &Packet, weight: &Tally, now: u64) {
    let half = if HOOK == INGRESS { &mut entry.ingress } else { &mut entry.egress };
    if half.first_ns == 0 {
        half.first_ns = now;
        half.icmp_type = packet.icmp_type;
    }
    half.last_ns = now;
    half.tally.packets += weight.packets;
    half.tally.segments += weight.segments;
    half.tally.bytes += weight.bytes;
    half.tcp_flags |= packet.tcp_flags;
}

/// Whether a packet with the key of a connection that has ended opens another one.
#[inline(always)]
fn is_another_connection(entry: *const FlowEntry, packet: &Packet, now: u64) -> bool {
    if packet.protocol != protocol::TCP {
        return false;
    }
    // SAFETY: a valid element.
    let (flags, last) =
        unsafe { ((*entry).ingress.tcp_flags | (*entry).egress.tcp_flags, (*entry).last_ns()) };
    if flags & (tcp_flags::FIN | tcp_flags::RST) == 0 {
        return false;
    }
    opens(packet) || now > last + ENDED_FOR_GOOD_NS
}

#[inline(always)]
fn opens(packet: &Packet) -> bool {
    packet.tcp_flags & (tcp_flags::SYN | tcp_flags::ACK) == tcp_flags::SYN
}

/// The exact time where it matters (how long a handshake, an echo or a connection took), else the recent one.
#[inline(always)]
fn time_of(packet: &Packet) -> u64 {
    let marks = tcp_flags::SYN | tcp_flags::FIN | tcp_flags::RST;
    if packet.tcp_flags & marks != 0 || packet.icmp_type != 0 {
        clock::exact()
    } else {
        clock::recent()
    }
}

#[inline(always)]
fn words(key: &FlowKey) -> [u64; WORDS] {
    // SAFETY: the key has no padding and the same size and alignment.
    unsafe { core::mem::transmute::<FlowKey, [u64; WORDS]>(*key) }
}

#[inline(always)]
fn holds(entry: *const FlowEntry, words: &[u64; WORDS]) -> bool {
    // SAFETY: a valid element; the key has the same size and alignment as the words. Compared word by word: a
    // derived `==` would become a call of memcmp.
    let stored = unsafe { &*(&raw const (*entry).key).cast::<[u64; WORDS]>() };
    ((stored[0] ^ words[0])
        | (stored[1] ^ words[1])
        | (stored[2] ^ words[2])
        | (stored[3] ^ words[3])
        | (stored[4] ^ words[4]))
        == 0
}

/// Multiply and fold, as in wyhash and FxHash: five multiplications, no helper call.
#[inline(always)]
fn hash(words: &[u64; WORDS]) -> u64 {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = HASH_SEED.load();
    for word in words {
        hash = (hash ^ word).wrapping_mul(MULTIPLIER);
        hash ^= hash >> 32;
    }
    hash
}
