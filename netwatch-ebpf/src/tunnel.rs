//! Counts what travels inside VXLAN and Geneve in a flow of its own, beside the tunnel's.
//!
//! The packet has been counted in the tunnel's flow: what is counted here is no part of the ledger, and what cannot be
//! counted here is only missing from the inner flow.

use netwatch_common::{
    flow::family,
    outcome::Outcome,
    parse::{Packet, fragment, protocol},
};

use crate::{
    account,
    flow::{self, Sighting},
    interface,
    maps::CPUS,
    skb::{self, Skb},
};

/// Counts the frame that begins at `inner_at`.
#[inline(never)]
pub fn count<const HOOK: u8>(ctx: &Skb, inner_at: u32) {
    let is_counted = match skb::parse_at(ctx, inner_at) {
        Ok(packet) if packet.fragment != fragment::LATER => {
            packet.family |= family::INNER;
            enter::<HOOK>(ctx, packet, inner_at).is_ok()
        }
        _ => false,
    };
    if !is_counted && let Some(state) = CPUS.get_ptr_mut(account::cpu()) {
        // SAFETY: a valid element; only this CPU writes it.
        unsafe { (*state).inner_lost += 1 };
    }
}

/// Not inlined: what it needs of the stack is not to lie on top of what parsing needs.
#[inline(never)]
fn enter<const HOOK: u8>(ctx: &Skb, packet: &Packet, inner_at: u32) -> Result<(), Outcome> {
    let number = account::cpu();
    let interface = interface::find(number, skb::ifindex(ctx)).ok_or(Outcome::UnknownInterface)?;
    let weight = skb::weigh(ctx, packet.header_len).without(inner_at);
    let seen = Sighting { ctx, number, slot: interface.slot, packet, weight };
    if packet.protocol == protocol::TCP {
        flow::count::<HOOK, true>(&seen)
    } else {
        flow::count::<HOOK, false>(&seen)
    }
}
