//! The interface table: which interface has which slot, and its counters.

use std::{collections::HashMap, mem::offset_of};

use netwatch_common::{
    config::{INTERFACE_SETS, INTERFACE_WAYS, MAX_INTERFACES},
    interface::InterfaceCounters as AbiCounters,
};

use super::{abi, error::AttachError, shared::SharedArray};
use crate::model::{InterfaceCounters, InterfaceKind, Tally};

/// Bytes of the Ethernet header, which the kernel leaves out of what a bridge device has received
/// (`br_pass_frame_up` counts `skb->len` after `eth_type_trans` took the header off).
const ETHERNET_HEADER: u64 = 14;

pub(super) struct InterfaceTable {
    /// For each CPU a section of slots.
    counters: SharedArray<AbiCounters>,
    cpus: u32,
    assigned: HashMap<u32, Assigned>,
    /// ifindex of the last interface that had each slot, also after its release: flow entries outlive it.
    owners: HashMap<u32, u32>,
}

struct Assigned {
    slot: u32,
    kind: InterfaceKind,
    /// What the slot had counted for those before.
    before: InterfaceCounters,
}

impl InterfaceTable {
    pub(super) fn new(counters: SharedArray<AbiCounters>, cpus: u32) -> Self {
        Self { counters, cpus, assigned: HashMap::new(), owners: HashMap::new() }
    }

    /// Goes on with what an earlier agent has left.
    pub(super) fn take_over(&mut self) {
        for slot in 0..MAX_INTERFACES {
            let Some(kept) = self.counters.read(self.kept(slot)).filter(|it| it.ifindex != 0)
            else {
                continue;
            };
            self.owners.insert(slot, kept.ifindex);
            if self.counters.read(slot).is_some_and(|entry| entry.ifindex == kept.ifindex) {
                let before = counters(&kept);
                // What it is, the one who attaches knows.
                let assigned = Assigned { slot, kind: InterfaceKind::Other, before };
                self.assigned.insert(kept.ifindex, assigned);
                self.tag(slot, kept.ifindex);
            } else {
                self.tag(slot, 0);
            }
        }
    }

    /// Gives an interface a slot in its set.
    pub(super) fn assign(&mut self, ifindex: u32, kind: InterfaceKind) -> Result<(), AttachError> {
        if self.assigned.contains_key(&ifindex) {
            self.is_of(ifindex, kind);
            return Ok(());
        }
        let first = (ifindex % INTERFACE_SETS) * INTERFACE_WAYS;
        let slot = (first..first + INTERFACE_WAYS)
            .find(|slot| self.counters.read(*slot).is_some_and(|entry| entry.ifindex == 0))
            .ok_or(AttachError::NoSlot(ifindex))?;
        let sum = self.sum(slot);
        let before = counters(&sum);
        // First this: whose slot it is says that the rest is there.
        self.counters.write(self.kept(slot), AbiCounters { ifindex, ..sum });
        self.tag(slot, ifindex);
        self.assigned.insert(ifindex, Assigned { slot, kind, before });
        self.owners.insert(slot, ifindex);
        Ok(())
    }

    /// Of what kind it is.
    pub(super) fn is_of(&mut self, ifindex: u32, kind: InterfaceKind) {
        if let Some(assigned) = self.assigned.get_mut(&ifindex) {
            assigned.kind = kind;
        }
    }

    /// Frees the slot of an interface.
    pub(super) fn release(&mut self, ifindex: u32) {
        if let Some(assigned) = self.assigned.remove(&ifindex) {
            self.tag(assigned.slot, 0);
        }
    }

    /// The interfaces that have a slot.
    pub(super) fn assigned(&self) -> Vec<u32> {
        self.assigned.keys().copied().collect()
    }

    /// Lets every interface draw anew when its next sample is due: the rate has changed.
    pub(super) fn redraw_samples(&self) {
        for assigned in self.assigned.values() {
            self.write(assigned.slot, offset_of!(AbiCounters, sample_countdown), 0);
        }
    }

    /// Writes into a slot whose it is. What it has counted stays.
    fn tag(&self, slot: u32, ifindex: u32) {
        self.write(slot, offset_of!(AbiCounters, ifindex), ifindex);
    }

    fn write(&self, slot: u32, offset: usize, value: u32) {
        for cpu in 0..self.cpus {
            self.counters.write_u32(cpu * MAX_INTERFACES + slot, offset, value);
        }
    }

    /// Whether an interface has a slot.
    pub(super) fn is_assigned(&self, ifindex: u32) -> bool {
        self.assigned.contains_key(&ifindex)
    }

    /// The interface that a slot belongs to, or belonged to last.
    pub(super) fn owner(&self, slot: u16) -> Option<u32> {
        self.owners.get(&u32::from(slot)).copied()
    }

    /// The counters of an interface since its slot was assigned.
    pub(super) fn counters(&self, ifindex: u32) -> Option<InterfaceCounters> {
        let assigned = self.assigned.get(&ifindex)?;
        let mut counters = self.raw(assigned.slot) - assigned.before;
        if assigned.kind == InterfaceKind::Bridge {
            let headers = counters.receive.tally.packets * ETHERNET_HEADER;
            counters.receive.link_bytes = counters.receive.link_bytes.saturating_sub(headers);
        }
        Some(counters)
    }

    /// Packets that all slots have ever counted.
    pub(super) fn seen(&self) -> Tally {
        self.owners.keys().map(|slot| self.raw(*slot)).fold(Tally::ZERO, |sum, counters| {
            sum + counters.receive.tally + counters.transmit.tally
        })
    }

    fn raw(&self, slot: u32) -> InterfaceCounters {
        counters(&self.sum(slot))
    }

    /// What all CPUs have counted in a slot.
    fn sum(&self, slot: u32) -> AbiCounters {
        (0..self.cpus).filter_map(|cpu| self.counters.read(cpu * MAX_INTERFACES + slot)).fold(
            AbiCounters::default(),
            |sum, counters| AbiCounters {
                ingress: sum.ingress + counters.ingress,
                egress: sum.egress + counters.egress,
                ..sum
            },
        )
    }

    /// Where the agent keeps whose slot it is or was last, and what had been counted in it before.
    fn kept(&self, slot: u32) -> u32 {
        self.cpus * MAX_INTERFACES + slot
    }
}

fn counters(counters: &AbiCounters) -> InterfaceCounters {
    InterfaceCounters {
        receive: abi::interface_tally(counters.ingress),
        transmit: abi::interface_tally(counters.egress),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table on one CPU.
    fn table() -> InterfaceTable {
        InterfaceTable::new(SharedArray::anonymous(2 * MAX_INTERFACES).unwrap(), 1)
    }

    fn count(table: &InterfaceTable, slot: u32, packets: u64) {
        let mut counters = table.counters.read(slot).unwrap();
        counters.ingress.packets = packets;
        counters.ingress.skb_bytes = packets * 100;
        table.counters.write(slot, counters);
    }

    #[test]
    fn a_slot_starts_at_zero_for_its_next_interface() {
        let mut table = table();
        table.assign(5, InterfaceKind::Veth).unwrap();
        count(&table, 5 * INTERFACE_WAYS, 10);
        table.release(5);
        table.assign(5 + INTERFACE_SETS, InterfaceKind::Veth).unwrap();
        count(&table, 5 * INTERFACE_WAYS, 13);
        let counters = table.counters(5 + INTERFACE_SETS).unwrap();
        assert_eq!((counters.receive.tally.packets, counters.receive.link_bytes), (3, 300));
        assert_eq!(table.seen().packets, 13, "what the first one saw is not forgotten");
        assert!(table.counters(5).is_none());
    }

    #[test]
    fn the_next_agent_goes_on_with_what_is_there() {
        let mut table = table();
        table.assign(5, InterfaceKind::Veth).unwrap();
        count(&table, 5 * INTERFACE_WAYS, 10);
        table.release(5);
        table.assign(5 + INTERFACE_SETS, InterfaceKind::Veth).unwrap();
        count(&table, 5 * INTERFACE_WAYS, 13);
        table.assign(6, InterfaceKind::Veth).unwrap();
        count(&table, 6 * INTERFACE_WAYS, 4);
        table.release(6);
        let mut next = InterfaceTable::new(table.counters, 1);
        next.take_over();
        let counted = |table: &InterfaceTable, ifindex| {
            table.counters(ifindex).map(|counters| counters.receive.tally.packets)
        };
        assert_eq!(counted(&next, 5 + INTERFACE_SETS), Some(3));
        assert_eq!((counted(&next, 5), counted(&next, 6)), (None, None));
        assert_eq!(next.owner(6 * 4), Some(6), "flows of it may still be there");
        assert_eq!(next.seen().packets, 17);
        next.assign(5 + INTERFACE_SETS, InterfaceKind::Bridge).unwrap();
        assert_eq!(next.counters(5 + INTERFACE_SETS).unwrap().receive.link_bytes, 300 - 3 * 14);
    }

    #[test]
    fn a_bridge_receives_without_ethernet_headers() {
        let mut table = table();
        table.assign(7, InterfaceKind::Bridge).unwrap();
        count(&table, 7 * INTERFACE_WAYS, 2);
        assert_eq!(table.counters(7).unwrap().receive.link_bytes, 200 - 2 * 14);
    }

    #[test]
    fn a_set_takes_as_many_interfaces_as_it_has_ways() {
        let mut table = table();
        for way in 0..INTERFACE_WAYS {
            table.assign(9 + way * INTERFACE_SETS, InterfaceKind::Veth).unwrap();
        }
        let one_more = 9 + INTERFACE_WAYS * INTERFACE_SETS;
        assert!(matches!(table.assign(one_more, InterfaceKind::Veth), Err(AttachError::NoSlot(_))));
        table.release(9);
        table.assign(one_more, InterfaceKind::Veth).unwrap();
        assert_eq!(table.owner(9 * 4), Some(one_more));
    }
}
