//! What each interface has counted, as far as it has series of its own; the others have some together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Instant, InterfaceCounters, Largest, LargestChange};

/// Counters of interfaces since they were attached to, or since they got series of their own.
pub(super) struct Ports {
    kept: Kept,
    largest: Largest<u32>,
}

/// What the next agent goes on with.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Those with series of their own: what had been counted among the others before.
    own: BTreeMap<u32, InterfaceCounters>,
    /// Those without: what of them has been counted there.
    settled: BTreeMap<u32, InterfaceCounters>,
    /// What they have counted together.
    others: InterfaceCounters,
}

fn bytes(counters: InterfaceCounters) -> u64 {
    (counters.receive.tally + counters.transmit.tally).bytes
}

impl Ports {
    /// So many have series of their own.
    pub(super) fn new(most: usize) -> Self {
        Self { kept: Kept::default(), largest: Largest::new(most) }
    }

    /// What the next agent goes on with.
    pub(super) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Goes on with what another one has kept, of the same counters. It may have had room for more.
    pub(super) fn restore(&mut self, kept: Kept) {
        let Kept { own, settled, others } = kept;
        self.kept = Kept { own: BTreeMap::new(), settled, others };
        for (index, before) in own {
            let Kept { own, settled, .. } = &mut self.kept;
            let among = if self.largest.admits(&index, own.len()) { own } else { settled };
            among.insert(index, before);
        }
    }

    /// An interface has counted this in all. Answers with what its own series show, if it has any.
    pub(super) fn settle(
        &mut self,
        index: u32,
        counters: InterfaceCounters,
    ) -> Option<InterfaceCounters> {
        let Kept { own, settled, others } = &mut self.kept;
        if let Some(before) = own.get(&index) {
            return Some(counters - *before);
        }
        let before = settled.get(&index).copied().unwrap_or_default();
        if self.largest.admits(&index, own.len()) {
            settled.remove(&index);
            own.insert(index, before);
            return Some(counters - before);
        }
        let new = counters - before;
        *others = *others + new;
        settled.insert(index, counters);
        self.largest.pass_over(&index, bytes(new));
        None
    }

    /// An interface is gone, with these last counters; its index may come again.
    pub(super) fn close(&mut self, index: u32, last: InterfaceCounters) {
        self.settle(index, last);
        self.kept.own.remove(&index);
        self.kept.settled.remove(&index);
        self.largest.forget(|one| *one == index);
    }

    /// Gives the places of small ones to larger ones that have none. `counters`: what one has counted in all.
    pub(super) fn name_the_largest(
        &mut self,
        now: Instant,
        counters: impl Fn(u32) -> Option<InterfaceCounters>,
    ) {
        if !self.largest.is_crowded() {
            return;
        }
        let Kept { own, settled, others } = &mut self.kept;
        let counters = |index: u32| counters(index).unwrap_or_default();
        let shown = own.iter().map(|(index, before)| (*index, bytes(counters(*index) - *before)));
        let LargestChange { out, into } = self.largest.change(now, shown);
        for index in out {
            let before = own.remove(&index).unwrap_or_default();
            let all = counters(index);
            *others = *others + (all - before);
            settled.insert(index, all);
        }
        for index in into {
            let before = settled.remove(&index).unwrap_or_default();
            own.insert(index, before);
        }
    }

    /// What those without series of their own have counted, and how many they are; `None` where there never was one.
    pub(super) fn others(&self) -> (Option<InterfaceCounters>, usize) {
        let Kept { settled, others, .. } = &self.kept;
        let none = settled.is_empty() && *others == InterfaceCounters::default();
        ((!none).then_some(*others), settled.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{InterfaceTally, Tally};

    fn counters(bytes: u64) -> InterfaceCounters {
        let tally = Tally { bytes, ..Tally::ZERO };
        let receive = InterfaceTally { tally, link_bytes: bytes };
        InterfaceCounters { receive, transmit: InterfaceTally::default() }
    }

    impl Ports {
        /// Of one interface with series of its own and two without, one of which is gone.
        pub(in crate::agent) fn example() -> Self {
            let mut ports = Self::new(1);
            for (index, all) in [(300, 1_101), (301, 9_102), (302, 1_103)] {
                ports.settle(index, counters(all));
            }
            ports.close(302, counters(1_104));
            ports.name_the_largest(Instant(0), |index| Some(counters(u64::from(index) * 31)));
            ports
        }
    }

    #[test]
    fn nothing_is_lost_and_nothing_decreases() {
        let mut ports = Ports::new(2);
        let shown = |ports: &mut Ports, index, all| ports.settle(index, counters(all)).map(bytes);
        let others = |ports: &Ports| ports.others().0.map(bytes);
        assert_eq!(shown(&mut ports, 1, 1_000), Some(1_000));
        assert_eq!((shown(&mut ports, 2, 100), others(&ports)), (Some(100), None));
        assert_eq!((shown(&mut ports, 3, 5_000), others(&ports)), (None, Some(5_000)));
        let all = |index| Some(counters([0, 1_000, 110, 5_000][index as usize]));
        ports.name_the_largest(Instant(0), all);
        assert_eq!(others(&ports), Some(5_110), "also what was not shown yet");
        assert_eq!((shown(&mut ports, 3, 5_007), shown(&mut ports, 2, 112)), (Some(7), None));
        let mut next = Ports::new(2);
        next.restore(ports.kept().clone());
        assert_eq!((shown(&mut next, 3, 5_008), shown(&mut next, 2, 113)), (Some(8), None));
        let mut smaller = Ports::new(0);
        smaller.restore(ports.kept().clone());
        assert_eq!((shown(&mut smaller, 3, 5_008), shown(&mut smaller, 1, 1_001)), (None, None));
        assert_eq!(others(&smaller), Some(5_112 + 8 + 1_001));
        next.close(2, counters(120));
        assert_eq!((others(&next), next.others().1), (Some(5_120), 0));
        next.close(3, counters(5_009));
        assert_eq!(shown(&mut next, 3, 4), Some(4), "another one");
        assert_eq!(others(&next), Some(5_120));
    }
}
