//! Which interface a packet is at, and its counters.

use aya_ebpf::programs::TcContext;
use netwatch_common::{
    config::{INTERFACE_SETS, INTERFACE_WAYS, MAX_INTERFACES},
    flow::Tally,
    sample::INGRESS,
};

use crate::maps::{COUNTERS, INTERFACES};

/// The slot that the agent gave to the interface.
#[inline(always)]
pub fn slot(ifindex: u32) -> Option<u32> {
    let set = (ifindex % INTERFACE_SETS) * INTERFACE_WAYS;
    for way in 0..INTERFACE_WAYS {
        if INTERFACES.get(set + way)?.ifindex == ifindex {
            return Some(set + way);
        }
    }
    None
}

/// Counts a packet at its interface: here, on this CPU, without a lock.
#[inline(always)]
pub fn count<const HOOK: u8>(ctx: &TcContext, cpu: u32, slot: u32, weight: &Tally) {
    let Some(counters) = COUNTERS.get_ptr_mut(cpu * MAX_INTERFACES + slot) else { return };
    // SAFETY: a valid element; only this CPU writes it.
    let counters = unsafe { &mut *counters };
    let half = if HOOK == INGRESS { &mut counters.ingress } else { &mut counters.egress };
    half.tally.packets += weight.packets;
    half.tally.segments += weight.segments;
    half.tally.bytes += weight.bytes;
    half.skb_bytes += ctx.len() as u64;
}
