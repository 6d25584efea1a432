//! Marks the flow that an ICMP error message is about: the one of the packet that it quotes. The message itself is counted
//! in a flow of its own.

use aya_ebpf::programs::TcContext;
use netwatch_common::{
    parse::Packet,
    sample::{EGRESS, INGRESS},
};

use crate::{account, flow, interface, skb};

/// An error message.
pub struct Message {
    /// Where the IP header begins that it quotes.
    quoted_at: u32,
    family: u8,
    kind: u8,
    code: u8,
}

impl Message {
    /// The message that a packet is, if it quotes another.
    #[inline(always)]
    pub fn of(packet: &Packet) -> Option<Self> {
        let Packet { quoted_at, family, icmp_type, icmp_code, .. } = *packet;
        (quoted_at != 0).then_some(Self { quoted_at, family, kind: icmp_type, code: icmp_code })
    }
}

/// Marks the flow of the packet that is quoted.
#[inline(always)]
pub fn mark<const HOOK: u8>(ctx: &TcContext, message: &Message) {
    let Ok(packet) = skb::quoted(ctx, message.quoted_at, message.family) else { return };
    let number = account::cpu();
    let Some(interface) = interface::find(number, skb::ifindex(ctx)) else { return };
    // What is quoted went the other way.
    if HOOK == INGRESS {
        flow::mark_error::<EGRESS>(number, interface.slot, packet, message.kind, message.code);
    } else {
        flow::mark_error::<INGRESS>(number, interface.slot, packet, message.kind, message.code);
    }
}
