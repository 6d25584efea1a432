//! Which interface a packet is at, and its counters.

use netwatch_common::{
    config::{INTERFACE_SETS, INTERFACE_WAYS},
    interface::InterfaceCounters,
    sample::INGRESS,
};

use crate::{maps::INTERFACES, skb::Weight, verifier::any_of};

/// The slot that the agent gave to an interface, and this CPU's counters in it.
#[derive(Clone, Copy)]
pub struct Interface {
    pub slot: u32,
    pub counters: *mut InterfaceCounters,
}

/// Finds the interface in its set, leaving to the verifier what [`find`] hides from it: for short ways.
#[inline(always)]
pub fn find_fast(cpu: u32, ifindex: u32) -> Option<Interface> {
    let set = ifindex % INTERFACE_SETS;
    let ways = INTERFACES.get_ptr_mut(cpu * INTERFACE_SETS + set)?.cast::<InterfaceCounters>();
    (0..INTERFACE_WAYS).find_map(|way| {
        // SAFETY: within the set; a valid element, of which the agent writes this word.
        let (counters, here) = unsafe {
            let counters = ways.add(way as usize);
            (counters, (*counters).ifindex)
        };
        (here == ifindex).then_some(Interface { slot: set * INTERFACE_WAYS + way, counters })
    })
}

/// Finds the interface in its set.
#[inline(always)]
pub fn find(cpu: u32, ifindex: u32) -> Option<Interface> {
    let set = ifindex % INTERFACE_SETS;
    let ways = INTERFACES.get_ptr_mut(cpu * INTERFACE_SETS + set)?.cast::<InterfaceCounters>();
    let way = (0..INTERFACE_WAYS).find(|way| {
        // SAFETY: a valid element, of which the agent writes this word.
        unsafe { (*ways.add(*way as usize)).ifindex == ifindex }
    })?;
    let way = any_of(INTERFACE_WAYS, way, ifindex.into());
    // SAFETY: within the set.
    let counters = unsafe { ways.add(way as usize) };
    Some(Interface { slot: set * INTERFACE_WAYS + way, counters })
}

/// Counts a packet at its interface: here, on this CPU, without a lock.
#[inline(always)]
pub fn count<const HOOK: u8>(interface: Interface, weight: &Weight) {
    // SAFETY: a valid element; only this CPU writes its counters.
    let counters = unsafe { &mut *interface.counters };
    let half = if HOOK == INGRESS { &mut counters.ingress } else { &mut counters.egress };
    half.packets += 1;
    half.skb_bytes += u64::from(weight.skb_len);
    if weight.bytes != weight.skb_len {
        half.more_segments += u64::from(weight.segments - 1);
        half.more_bytes += u64::from(weight.bytes - weight.skb_len);
    }
}
