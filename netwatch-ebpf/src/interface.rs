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

/// The slots in which an interface can be.
struct Set {
    number: u32,
    ways: *mut InterfaceCounters,
}

impl Set {
    #[inline(always)]
    fn of(cpu: u32, ifindex: u32) -> Option<Self> {
        let number = ifindex % INTERFACE_SETS;
        let ways = INTERFACES.get_ptr_mut(cpu * INTERFACE_SETS + number)?.cast();
        Some(Self { number, ways })
    }

    #[inline(always)]
    fn slot(&self, way: u32) -> Interface {
        // SAFETY: within the set.
        let counters = unsafe { self.ways.add(way as usize) };
        Interface { slot: self.number * INTERFACE_WAYS + way, counters }
    }

    /// All slots, by way.
    #[inline(always)]
    fn slots(&self) -> impl Iterator<Item = Interface> {
        (0..INTERFACE_WAYS).map(|way| self.slot(way))
    }
}

impl Interface {
    #[inline(always)]
    fn is(&self, ifindex: u32) -> bool {
        // SAFETY: a valid element, of which the agent writes this word.
        unsafe { (*self.counters).ifindex == ifindex }
    }
}

/// Finds the interface in its set.
#[inline(always)]
pub fn find(cpu: u32, ifindex: u32) -> Option<Interface> {
    let set = Set::of(cpu, ifindex)?;
    let way = set.slots().position(|slot| slot.is(ifindex))?;
    Some(set.slot(any_of(INTERFACE_WAYS, way as u32, ifindex.into())))
}

/// The same for a short way, which the verifier may go once for each place of the set: that costs the packet less.
#[inline(always)]
pub fn find_fast(cpu: u32, ifindex: u32) -> Option<Interface> {
    Set::of(cpu, ifindex)?.slots().find(|slot| slot.is(ifindex))
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
