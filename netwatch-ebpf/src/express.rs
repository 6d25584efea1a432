//! The express way: what a packet of a known flow takes, which nearly every packet is.
//!
//! One straight piece of code for each of TCP and UDP, IPv4 and IPv6, that calls nothing. It looks whether all is as usual,
//! and only then counts; where anything is not, it has changed nothing, and the packet takes the way of all others
//! (`account.rs`), which gives the same answer: `netwatch/tests/kernel/express.rs` runs the same packets by both.

use netwatch_common::{
    flow::mark,
    parse::{self, Headers, Visitor},
    sample::INGRESS,
};

use crate::{
    account, clock, entry, filter, flow, interface, message,
    skb::{self, Skb, Weight},
    tcp,
};

/// Counts the packet, or leaves it to others.
#[inline(always)]
pub fn count<const HOOK: u8>(ctx: &Skb) -> Option<()> {
    // The verifier removes one of the two.
    if filter::any() { filtered::<HOOK>(ctx) } else { take::<HOOK, false>(ctx) }
}

/// Not inlined: filters, which few have, are not to burden the way without them. Networks need not be asked for: a flow that is
/// known has been admitted, and what an earlier agent had admitted is taken out of the table (`netwatch/src/datapath/unwanted.rs`).
#[inline(never)]
fn filtered<const HOOK: u8>(ctx: &Skb) -> Option<()> {
    take::<HOOK, true>(ctx)
}

#[inline(always)]
fn take<const HOOK: u8, const FILTERED: bool>(ctx: &Skb) -> Option<()> {
    if !skb::is_single(ctx) {
        return None;
    }
    let express = Express::<HOOK, FILTERED> { ctx, number: account::cpu() };
    parse::plain(&skb::linear(ctx), express)?
}

struct Express<'a, const HOOK: u8, const FILTERED: bool> {
    ctx: &'a Skb,
    number: u32,
}

impl<const HOOK: u8, const FILTERED: bool> Visitor for Express<'_, HOOK, FILTERED> {
    type Answer = Option<()>;

    #[inline(always)]
    fn visit<P: Headers, const TCP: bool>(self, packet: &P) -> Option<()> {
        if TCP && tcp::is_control(packet) || message::is_in(packet) {
            return None;
        }
        if FILTERED && filter::is_excluded(packet) {
            return None;
        }
        let interface = interface::find_fast(self.number, skb::ifindex(self.ctx))?;
        // SAFETY: a valid element; but for a 0 of the agent's in the countdown, only this CPU writes what follows.
        let counters = unsafe { &mut *interface.counters };
        let entry = flow::known::<P>(&flow::key::<HOOK>(packet, interface.slot), self.number)?;
        // SAFETY: a valid element; only this CPU writes it, and it does not do so twice at a time.
        let content = unsafe { &mut *entry };
        let half = if HOOK == INGRESS { &mut content.ingress } else { &mut content.egress };
        // Read once: the agent may write a 0 at any time.
        // SAFETY: as above.
        let countdown = unsafe { (&raw const counters.sample_countdown).read_volatile() };
        if half.marks & mark::USUAL == 0 || countdown <= 1 {
            return None;
        }
        let sequence = flow::begin_write(entry).ok()?;
        let weight = Weight::single(self.ctx);
        // Before the flow, as everywhere: what is in a flow has been seen.
        interface::count::<HOOK>(interface, &weight);
        counters.sample_countdown = countdown - 1;
        entry::advance::<TCP>(half, &mut content.ended, packet, &weight, clock::recent(), false);
        flow::end_write(entry, sequence);
        Some(())
    }
}
