//! What happens to each packet, in order. This is the file to read first.
//!
//! The way of an ordinary packet is one straight piece of code, compiled for each of four kinds by itself. What is rare
//! has functions of its own, so that the compiler keeps nothing at hand for it.

use aya_ebpf::helpers::bpf_get_smp_processor_id;
use netwatch_common::{
    outcome::{OUTCOME_STRIDE, Outcome},
    parse::{self, Packet, fragment, protocol},
};

use crate::{
    express, filter,
    flow::{self, Sighting},
    fragments, interface, log,
    maps::OUTCOMES,
    message, quotation, sample,
    skb::{self, Skb},
    tunnel,
};

/// Accounts for one packet seen at a hook: `seen = counted in a flow + each outcome`, exactly.
#[inline(always)]
pub fn packet<const HOOK: u8>(ctx: &Skb) {
    if express::count::<HOOK>(ctx).is_none() && common::<HOOK>(ctx).is_none() {
        uncommon::<HOOK>(ctx);
    }
}

/// The packets that most others are; `None` for any other, of which nothing has been counted yet.
///
/// A function of its own, so that the express way has nothing to keep for it but the context, and so that its stack does not
/// lie below each deeper call.
#[inline(never)]
fn common<const HOOK: u8>(ctx: &Skb) -> Option<()> {
    let linear = skb::linear(ctx);
    let packet = parse::common(&linear)?;
    if packet.protocol == protocol::TCP {
        count::<HOOK, true>(ctx, &parse::common_transport(&linear, packet)?);
    } else {
        count::<HOOK, false>(ctx, &parse::common_transport(&linear, packet)?);
    }
    Some(())
}

/// Tags, options, extension headers, fragments, ARP, tunnels, error messages, headers beyond the linear part, and what is
/// no packet at all.
#[inline(never)]
fn uncommon<const HOOK: u8>(ctx: &Skb) {
    let packet = match skb::parse_at(ctx, 0) {
        Ok(packet) => packet,
        Err(outcome) => return leave::<HOOK>(ctx, outcome),
    };
    if packet.fragment != fragment::NONE && !fragments::join(packet) {
        return leave::<HOOK>(ctx, Outcome::LaterFragment);
    }
    let (carries_message, quotes, inner_at) =
        (message::is_in(packet), packet.quoted_at != 0, packet.inner_at);
    let header_len = packet.header_len;
    if !count_rare::<HOOK>(ctx, packet) {
        return;
    }
    sample::draw_anew::<HOOK>(ctx, header_len);
    // All of these parse once more, into the room that this packet was parsed into.
    if carries_message {
        message::send::<HOOK>(ctx);
    } else if quotes {
        quotation::mark::<HOOK>(ctx);
    } else if inner_at != 0 {
        tunnel::count::<HOOK>(ctx, inner_at);
    }
}

/// Counts a common packet.
#[inline(always)]
fn count<const HOOK: u8, const TCP: bool>(ctx: &Skb, packet: &Packet) {
    if enter::<HOOK, TCP, true>(ctx, packet) && message::is_in(packet) {
        message::send::<HOOK>(ctx);
    }
}

/// Counts any other packet. Whether it was let in. What it needs of the stack is not to lie below what sampling needs.
#[inline(never)]
fn count_rare<const HOOK: u8>(ctx: &Skb, packet: &Packet) -> bool {
    // A later fragment has no TCP header to follow.
    if packet.protocol == protocol::TCP && packet.fragment != fragment::LATER {
        enter::<HOOK, true, false>(ctx, packet)
    } else {
        enter::<HOOK, false, false>(ctx, packet)
    }
}

/// Counts a packet at its interface and in its flow, if the user has not excluded it, and draws a sample where that is done
/// here. Whether it was let in.
#[inline(always)]
fn enter<const HOOK: u8, const TCP: bool, const SAMPLE: bool>(ctx: &Skb, packet: &Packet) -> bool {
    let number = cpu();
    let weight = skb::weigh(ctx, packet.header_len);
    let Some(interface) = interface::find(number, skb::ifindex(ctx)) else {
        count_outcome(ctx, Outcome::UnknownInterface, packet.header_len);
        return false;
    };
    interface::count::<HOOK>(interface, &weight);
    if let Err(outcome) = filter::admit(packet) {
        count_outcome(ctx, outcome, packet.header_len);
        return false;
    }
    let seen = Sighting { ctx, number, slot: interface.slot, packet, weight };
    if let Err(outcome) = flow::count::<HOOK, TCP>(&seen) {
        count_outcome(ctx, outcome, packet.header_len);
    }
    if SAMPLE {
        sample::draw::<HOOK>(ctx, number, interface.counters, packet.header_len);
    }
    true
}

/// A packet that cannot be in a flow.
#[inline(never)]
fn leave<const HOOK: u8>(ctx: &Skb, outcome: Outcome) {
    let number = cpu();
    let Some(interface) = interface::find(number, skb::ifindex(ctx)) else {
        return count_outcome(ctx, Outcome::UnknownInterface, 0);
    };
    interface::count::<HOOK>(interface, &skb::weigh(ctx, 0));
    count_outcome(ctx, outcome, 0);
    sample::draw::<HOOK>(ctx, number, interface.counters, 0);
}

/// Counts a packet that is in no flow under the reason why.
#[inline(never)]
fn count_outcome(ctx: &Skb, outcome: Outcome, header_len: u32) {
    log::not_counted(ctx, outcome);
    let index = cpu() * OUTCOME_STRIDE + outcome as u32;
    let Some(tally) = OUTCOMES.get_ptr_mut(index) else { return };
    // SAFETY: a valid element; only this CPU writes it.
    skb::weigh(ctx, header_len).add_to(unsafe { &mut *tally });
}

/// The number of this CPU.
#[inline(always)]
pub fn cpu() -> u32 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_get_smp_processor_id() }
}
