//! What happens to each packet, in order. This is the file to read first.

use aya_ebpf::{helpers::bpf_get_smp_processor_id, programs::TcContext};
use netwatch_common::{
    flow::{FlowKey, Tally},
    outcome::{OUTCOME_STRIDE, Outcome},
    parse::Packet,
    sample::INGRESS,
};

use crate::{filter, flow, interface, log, maps::OUTCOMES, message, sample, skb};

/// Accounts for one packet seen at a hook: `seen = counted in a flow + each outcome`, exactly.
#[inline(always)]
pub fn packet<const HOOK: u8>(ctx: &TcContext) {
    // SAFETY: the kernel hands a valid context; the helper has no arguments.
    let (ifindex, cpu) = unsafe { ((*ctx.skb.skb).ifindex, bpf_get_smp_processor_id()) };
    let parsed = skb::parse(ctx);
    let weight = skb::weigh(ctx, parsed.map_or(0, |packet| packet.header_len));

    let outcome = match interface::slot(ifindex) {
        Some(slot) => {
            interface::count::<HOOK>(ctx, cpu, slot, &weight);
            parsed.and_then(|packet| {
                filter::admit(&packet)?;
                message::copy::<HOOK>(ctx, cpu, ifindex, slot, &packet);
                flow::count::<HOOK>(cpu, &key::<HOOK>(&packet, slot), &packet, &weight)
            })
        }
        None => Err(Outcome::UnknownInterface),
    };
    if let Err(outcome) = outcome {
        log::not_counted(ctx, ifindex, outcome);
        count_outcome(cpu, outcome, &weight);
        if outcome == Outcome::Filtered {
            return;
        }
    }
    sample::draw::<HOOK>(ctx, cpu, ifindex, &weight);
}

/// The flow key, seen from the interface: local is the end that transmits into it.
#[inline(always)]
fn key<const HOOK: u8>(packet: &Packet, slot: u32) -> FlowKey {
    let outwards = HOOK == INGRESS;
    FlowKey {
        local: if outwards { packet.source } else { packet.destination },
        remote: if outwards { packet.destination } else { packet.source },
        local_port: if outwards { packet.source_port } else { packet.destination_port },
        remote_port: if outwards { packet.destination_port } else { packet.source_port },
        slot: slot as u16,
        protocol: packet.protocol,
        family: packet.family,
    }
}

#[inline(always)]
fn count_outcome(cpu: u32, outcome: Outcome, weight: &Tally) {
    let Some(tally) = OUTCOMES.get_ptr_mut(cpu * OUTCOME_STRIDE + outcome as u32) else { return };
    // SAFETY: a valid element; only this CPU writes it.
    let tally = unsafe { &mut *tally };
    tally.packets += weight.packets;
    tally.segments += weight.segments;
    tally.bytes += weight.bytes;
}
