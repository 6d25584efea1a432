//! Marks the flow that an ICMP error message is about: the one of the packet that it quotes. The message itself is counted
//! in a flow of its own.

use netwatch_common::sample::{EGRESS, INGRESS};

use crate::{
    account, filter, flow, interface,
    skb::{self, Skb},
};

/// Marks the flow of the packet that the error message quotes.
#[inline(never)]
pub fn mark<const HOOK: u8>(ctx: &Skb) {
    let Ok(message) = skb::parse_at(ctx, 0) else { return };
    let (quoted_at, family) = (message.quoted_at, message.family);
    let (kind, code) = (message.icmp_type, message.icmp_code);
    let Ok(packet) = skb::quoted(ctx, quoted_at, family) else { return };
    // What is excluded has no flow, and is not to get one.
    if filter::admit(packet).is_err() {
        return;
    }
    let number = account::cpu();
    let Some(interface) = interface::find(number, skb::ifindex(ctx)) else { return };
    // What is quoted went the other way.
    if HOOK == INGRESS {
        flow::mark_error::<EGRESS>(number, interface.slot, packet, kind, code);
    } else {
        flow::mark_error::<INGRESS>(number, interface.slot, packet, kind, code);
    }
}
