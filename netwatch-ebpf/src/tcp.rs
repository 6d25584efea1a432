//! What is remembered of a TCP connection: its handshake, and where each direction's sequence numbers stand.
//!
//! A hook sees one place of the path, and an entry one CPU. So a segment that was seen before is one that was sent again;
//! one that comes after later ones was overtaken, or lost before this hook and sent again: the two look the same from
//! here. What another CPU has seen of the flow is not known: the numbers can be too low, never too high.

use netwatch_common::{
    flow::{FlowEntry, Half, detail, mark},
    parse::{Headers, tcp_flags},
    sample::INGRESS,
};

use crate::skb::Weight;

const SYN_ACK: u8 = tcp_flags::SYN | tcp_flags::ACK;
const CONTROL: u8 = tcp_flags::SYN | tcp_flags::FIN | tcp_flags::RST;

/// After a connection has ended, packets with its key that come later than this are another one.
const ENDED_FOR_GOOD_NS: u64 = 2_000_000_000;

/// Whether the segment opens or ends something.
#[inline(always)]
pub fn is_control(packet: &impl Headers) -> bool {
    packet.tcp_flags() & CONTROL != 0
}

/// Whether a packet with the key of a connection that has ended, or that it contradicts, opens another one.
#[inline(always)]
pub fn is_another_connection<const HOOK: u8>(
    entry: *const FlowEntry,
    packet: &impl Headers,
    now: u64,
) -> bool {
    // SAFETY: a valid element.
    let entry = unsafe { &*entry };
    if entry.ended == 0 && !is_control(packet) {
        return false;
    }
    let opens = packet.tcp_flags() & SYN_ACK == tcp_flags::SYN;
    if entry.ended != 0 {
        return opens || now > entry.last_ns() + ENDED_FOR_GOOD_NS;
    }
    let half = if HOOK == INGRESS { &entry.ingress } else { &entry.egress };
    opens && half.first_ns != 0 && !repeats(half, packet)
}

/// Whether this SYN is one that has been seen: it has the same sequence number.
#[inline(always)]
fn repeats(half: &Half, packet: &impl Headers) -> bool {
    // A SYN may carry data (RFC 7413): no more than a packet.
    (1..=1 << 16).contains(&half.detail[detail::NEXT].wrapping_sub(sequence(packet)))
}

/// The first packet of a direction.
#[inline(always)]
pub fn begin(half: &mut Half, packet: &impl Headers) {
    half.opened_by = packet.tcp_flags();
    half.detail[detail::NEXT] = sequence(packet);
    if packet.tcp_flags() & SYN_ACK == tcp_flags::SYN {
        half.marks |= mark::HANDSHAKE;
    }
}

/// Whether this is the client's acknowledgment of the server's SYN, which comes once.
#[inline(always)]
pub fn completes_handshake(half: &mut Half, other: &Half, packet: &impl Headers) -> bool {
    if packet.tcp_flags() & SYN_ACK != tcp_flags::ACK {
        return false;
    }
    half.marks &= !mark::HANDSHAKE;
    other.opened_by & SYN_ACK == SYN_ACK
}

/// Follows one direction: its flags, and its sequence numbers.
#[inline(always)]
pub fn follow(
    ended: &mut u8,
    half: &mut Half,
    packet: &impl Headers,
    weight: &Weight,
    is_control: bool,
) {
    let flags = packet.tcp_flags();
    if flags & !half.tcp_flags != 0 {
        half.tcp_flags |= flags;
        *ended |= flags & (tcp_flags::FIN | tcp_flags::RST);
    }
    let mut length = payload(packet, weight);
    // SYN and FIN take a number each (RFC 9293, section 3.4).
    if is_control {
        length += u32::from(flags & tcp_flags::SYN != 0);
        length += u32::from(flags & tcp_flags::FIN != 0);
    } else if packet.tcp_window() == 0 {
        half.marks |= mark::ZERO_WINDOW;
    }
    let start = sequence(packet);
    if start == half.detail[detail::NEXT] {
        half.detail[detail::NEXT] = start.wrapping_add(length);
    } else if length != 0 {
        out_of_line(half, start, length, weight.segments, is_control);
    }
}

/// A segment that is not the next one.
#[inline(always)]
fn out_of_line(half: &mut Half, start: u32, length: u32, segments: u32, is_control: bool) {
    let [next, missing, retransmitted, out_of_order] = &mut half.detail;
    let end = start.wrapping_add(length);
    let ahead = start.wrapping_sub(*next);
    if (ahead as i32) > 0 {
        *missing = missing.wrapping_add(ahead);
        *next = end;
    } else if (end.wrapping_sub(*next) as i32) > 0 {
        *next = end;
    } else if *missing >= length {
        *missing -= length;
        *out_of_order = out_of_order.wrapping_add(segments);
    } else if is_control || length != 1 || end != *next {
        // The exception is a keep-alive (RFC 9293, section 3.8.4), which repeats one byte on purpose.
        *retransmitted = retransmitted.wrapping_add(segments);
    }
}

/// Bytes behind the header.
#[inline(always)]
fn payload(packet: &impl Headers, weight: &Weight) -> u32 {
    let payload = packet.payload_len();
    // The IP header of a GSO skb above 64 KiB ("BIG TCP") states no length.
    if payload == 0 && weight.segments > 1 {
        weight.skb_len.saturating_sub(packet.header_len())
    } else {
        payload
    }
}

#[inline(always)]
fn sequence(packet: &impl Headers) -> u32 {
    u32::from_be(packet.tcp_sequence())
}
