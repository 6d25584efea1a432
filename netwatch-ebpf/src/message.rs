//! DNS messages, whole, as many a second as the user allows.

use netwatch_common::{
    config::MAX_INTERFACES,
    message::{MESSAGE_BURST_NS, MESSAGE_BYTES, Message, is_dns},
    parse::{Headers, fragment},
};

use crate::{
    account, clock, interface,
    maps::{CPUS, MESSAGE_INTERVAL_NS, MESSAGE_RATES, MESSAGES},
    record,
    skb::{self, Skb},
};

/// Whether a packet carries a message that is to be read. Segments of TCP without data (handshake, acknowledgments) carry
/// none, nor do later fragments.
#[inline(always)]
pub fn is_in(packet: &impl Headers) -> bool {
    // The ports first: they say no to nearly every packet.
    is_dns(packet.protocol(), packet.source_port(), packet.destination_port())
        && MESSAGE_INTERVAL_NS.load() != 0
        && packet.payload_len() != 0
        && packet.fragment() != fragment::LATER
}

/// Sends the message that the packet carries to the agent, unless the interface has used up its rate.
///
/// Not inlined, and parsing the packet anew: so the compiler keeps nothing at hand for it on the way of other packets.
#[inline(never)]
pub fn send<const HOOK: u8>(ctx: &Skb) {
    let (number, ifindex) = (account::cpu(), skb::ifindex(ctx));
    let Some(interface) = interface::find(number, ifindex) else { return };
    let slot = interface.slot;
    let Some(state) = CPUS.get_ptr_mut(number) else { return };
    // SAFETY: a valid element; only this CPU writes it.
    let state = unsafe { &mut *state };
    let now = clock::exact();
    if !is_within_rate(number * MAX_INTERFACES + slot, MESSAGE_INTERVAL_NS.load(), now) {
        state.messages_over_rate += 1;
        return;
    }
    let Ok(packet) = skb::parse_at(ctx, 0) else { return };
    let header = Message {
        time_ns: now,
        source: packet.source,
        destination: packet.destination,
        len: packet.payload_len(),
        ifindex,
        source_port: packet.source_port,
        destination_port: packet.destination_port,
        protocol: packet.protocol.into(),
        hook: HOOK.into(),
    };
    // An skb may be shorter than its IP header says.
    let there = ctx.len().saturating_sub(packet.header_len);
    let len = packet.payload_len().min(there).min(MESSAGE_BYTES as u32);
    if record::send(&MESSAGES, ctx, header, packet.header_len, len) {
        state.messages += 1;
    } else {
        state.messages_lost += 1;
    }
}

/// A token bucket, kept as the time at which it will be full again (the "virtual scheduling" form of the generic cell
/// rate algorithm, ITU-T I.371): one word, no division, and nothing to fill while no message comes.
#[inline(always)]
fn is_within_rate(index: u32, interval: u64, now: u64) -> bool {
    let Some(full_at) = MESSAGE_RATES.get_ptr_mut(index) else { return false };
    // SAFETY: a valid element; only this CPU writes it.
    let full_at = unsafe { &mut *full_at };
    let next = (*full_at).max(now) + interval;
    if next > now + MESSAGE_BURST_NS {
        return false;
    }
    *full_at = next;
    true
}
