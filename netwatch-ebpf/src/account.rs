//! What happens to each packet, in order. This is the file to read first.
//!
//! The way of an ordinary packet is one straight piece of code. What is rare has functions of its own, so that the
//! compiler keeps nothing at hand for it.

use aya_ebpf::{helpers::bpf_get_smp_processor_id, programs::TcContext};
use netwatch_common::{
    flow::family,
    outcome::{OUTCOME_STRIDE, Outcome},
    parse::{self, Packet, Reader, protocol},
};

use crate::{
    flow::{self, Sighting},
    interface, log,
    maps::OUTCOMES,
    sample, skb,
};

/// Accounts for one packet seen at a hook: `seen = counted in a flow + each outcome`, exactly.
#[inline(always)]
pub fn packet<const HOOK: u8>(ctx: &TcContext) {
    let linear = skb::linear(ctx);
    match parsed::<HOOK, _>(ctx, &linear) {
        Ok(()) => {}
        Err(Outcome::Truncated) if skb::goes_on(ctx, &linear) => beyond::<HOOK>(ctx),
        Err(outcome) => leave::<HOOK>(ctx, outcome),
    }
}

/// A packet whose headers go on beyond its linear part.
#[inline(never)]
fn beyond<const HOOK: u8>(ctx: &TcContext) {
    if let Err(outcome) = skb::copy(ctx).and_then(|copy| parsed::<HOOK, _>(ctx, &copy)) {
        leave::<HOOK>(ctx, outcome);
    }
}

/// Parses and counts a packet. What follows is compiled for each of four ways by itself.
#[inline(always)]
fn parsed<const HOOK: u8, R: Reader>(ctx: &TcContext, reader: &R) -> Result<(), Outcome> {
    let packet = parse::network(reader)?;
    if packet.protocol == protocol::TCP {
        let packet = parse::transport(reader, packet)?;
        if packet.family == family::IPV4 {
            count::<HOOK, true, true>(ctx, packet);
        } else {
            count::<HOOK, true, false>(ctx, packet);
        }
    } else {
        let packet = parse::transport(reader, packet)?;
        if packet.family == family::IPV4 {
            count::<HOOK, false, true>(ctx, packet);
        } else {
            count::<HOOK, false, false>(ctx, packet);
        }
    }
    Ok(())
}

/// Counts a packet of a flow.
#[inline(always)]
fn count<const HOOK: u8, const TCP: bool, const V4: bool>(ctx: &TcContext, packet: Packet) {
    let number = cpu();
    let weight = skb::weigh(ctx, packet.header_len);
    let Some(interface) = interface::find(number, skb::ifindex(ctx)) else {
        return leave::<HOOK>(ctx, Outcome::UnknownInterface);
    };
    interface::count::<HOOK>(interface, &weight);
    let seen = Sighting { ctx, number, slot: interface.slot, packet, weight };
    if let Err(outcome) = flow::count::<HOOK, TCP, V4>(&seen) {
        count_outcome(ctx, outcome, seen.packet.header_len);
    }
    sample::draw::<HOOK>(ctx, number, interface.counters);
}

/// A packet that cannot be in a flow.
#[inline(never)]
fn leave<const HOOK: u8>(ctx: &TcContext, outcome: Outcome) {
    let number = cpu();
    let Some(interface) = interface::find(number, skb::ifindex(ctx)) else {
        return count_outcome(ctx, Outcome::UnknownInterface, 0);
    };
    interface::count::<HOOK>(interface, &skb::weigh(ctx, 0));
    count_outcome(ctx, outcome, 0);
    sample::draw::<HOOK>(ctx, number, interface.counters);
}

/// Counts a packet that is in no flow under the reason why.
#[inline(never)]
fn count_outcome(ctx: &TcContext, outcome: Outcome, header_len: u32) {
    log::not_counted(ctx, outcome);
    let index = cpu() * OUTCOME_STRIDE + outcome as u32;
    let Some(tally) = OUTCOMES.get_ptr_mut(index) else { return };
    // SAFETY: a valid element; only this CPU writes it.
    skb::weigh(ctx, header_len).add_to(unsafe { &mut *tally });
}

/// The number of this CPU.
#[inline(always)]
fn cpu() -> u32 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_get_smp_processor_id() }
}
