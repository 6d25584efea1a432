//! What each container has sent and received, over all its veths and restarts.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::OTHERS;
use crate::model::{
    Container, ContainerTraffic, Instant, InterfaceCounters, Largest, LargestChange, Tally,
};

/// Name and network.
type Account = (Arc<str>, Arc<str>);

/// Sums by container name and network. A restarted container goes on under its name.
pub(super) struct Accounts {
    kept: Kept,
    /// Those that have sums of their own.
    largest: Largest<Account>,
}

/// What the next agent goes on with.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    sums: BTreeMap<Account, (Tally, Tally)>,
    veths: BTreeMap<u32, Veth>,
}

/// A veth that is there.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Veth {
    /// What has been added of it.
    settled: InterfaceCounters,
    /// Whose it was then.
    account: Option<Account>,
}

impl Accounts {
    /// So many have sums of their own, the others one together.
    pub(super) fn new(most: usize) -> Self {
        Self { kept: Kept::default(), largest: Largest::new(most) }
    }

    /// What the next agent goes on with.
    pub(super) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Goes on with what another one has kept; only with the sums where the kernel side begins anew.
    pub(super) fn restore(&mut self, kept: Kept, same_ledger: bool) {
        let Kept { sums, veths } = kept;
        for (account, (receive, transmit)) in sums {
            self.grow(account, receive, transmit);
        }
        if same_ledger {
            self.kept.veths = veths;
        }
    }

    /// Adds what a veth has counted since the last time to the container behind it. Until the container is known, the
    /// counts wait.
    pub(super) fn settle(
        &mut self,
        ifindex: u32,
        counters: InterfaceCounters,
        container: Option<&Container>,
        network: Option<&Arc<str>>,
    ) {
        let Some(container) = container else { return };
        let network = network.cloned().unwrap_or_else(|| "".into());
        self.add(ifindex, counters, (container.name.as_str().into(), network));
    }

    fn add(&mut self, ifindex: u32, counters: InterfaceCounters, account: Account) {
        let veth = self.kept.veths.entry(ifindex).or_default();
        let new = counters - veth.settled;
        veth.settled = counters;
        veth.account = Some(account.clone());
        // The container receives what its veth on the host transmits.
        self.grow(account, new.transmit.tally, new.receive.tally);
    }

    fn grow(&mut self, mut account: Account, receive: Tally, transmit: Tally) {
        let sums = &mut self.kept.sums;
        if !sums.contains_key(&account) && !self.largest.admits(&account, sums.len()) {
            self.largest.pass_over(&account, (receive + transmit).bytes);
            account = others();
        }
        let sum = sums.entry(account).or_default();
        sum.0 += receive;
        sum.1 += transmit;
    }

    /// Gives the places of small ones to larger ones that have none.
    pub(super) fn name_the_largest(&mut self, now: Instant) {
        if !self.largest.is_crowded() {
            return;
        }
        let sums = &mut self.kept.sums;
        let own = sums.iter().filter(|(account, _)| **account != others());
        let own = own
            .map(|(account, (receive, transmit))| (account.clone(), (*receive + *transmit).bytes));
        let LargestChange { out, into } = self.largest.change(now, own);
        for account in out {
            let (receive, transmit) = sums.remove(&account).unwrap_or_default();
            let sum = sums.entry(others()).or_default();
            sum.0 += receive;
            sum.1 += transmit;
        }
        sums.extend(into.into_iter().map(|account| (account, Default::default())));
    }

    /// How many of those that are there have none of their own.
    pub(super) fn folded(&self) -> usize {
        let accounts = self.kept.veths.values().filter_map(|veth| veth.account.as_ref());
        let folded = accounts.filter(|account| !self.kept.sums.contains_key(*account));
        folded.collect::<HashSet<_>>().len()
    }

    /// A veth is gone, with these last counters; its index may come again. What nobody was known for in the end, as with an
    /// agent that has only just started, goes to whose it was before.
    pub(super) fn close(&mut self, ifindex: u32, last: InterfaceCounters) {
        if let Some(account) = self.kept.veths.get(&ifindex).and_then(|veth| veth.account.clone()) {
            self.add(ifindex, last, account);
        }
        self.kept.veths.remove(&ifindex);
    }

    /// Whose sums there are.
    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.kept.sums.keys().map(|(container, _)| container)
    }

    /// These have been gone for long.
    pub(super) fn forget(&mut self, names: &HashSet<Arc<str>>) {
        self.kept.sums.retain(|(container, _), _| !names.contains(container));
        self.largest.forget(|(container, _)| names.contains(container));
    }

    /// All sums.
    pub(super) fn snapshot(&self) -> Vec<ContainerTraffic> {
        self.kept
            .sums
            .iter()
            .map(|((container, network), (receive, transmit))| ContainerTraffic {
                container: Arc::clone(container),
                network: Arc::clone(network),
                receive: *receive,
                transmit: *transmit,
            })
            .collect()
    }
}

/// The account that all share who have none of their own.
fn others() -> Account {
    (OTHERS.into(), "".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{InterfaceTally, Source};

    fn container(name: &str) -> Container {
        Container {
            id: name.into(),
            name: name.into(),
            image: String::new(),
            project: None,
            service: None,
            attachments: Vec::new(),
            pid: None,
            namespace: None,
            host_network: false,
            shares_with: None,
            published: Vec::new(),
            shared_by: Vec::new(),
            source: Source::Engine,
        }
    }

    fn counters(received: u64, transmitted: u64) -> InterfaceCounters {
        let tally =
            |bytes| InterfaceTally { tally: Tally { bytes, ..Tally::ZERO }, link_bytes: bytes };
        InterfaceCounters { receive: tally(received), transmit: tally(transmitted) }
    }

    impl Accounts {
        /// Of two containers, one of which is gone, and a veth of which nobody knows whose it is.
        pub(in crate::agent) fn example() -> Self {
            let mut accounts = Self::new(9);
            let network: Arc<str> = "shop_default".into();
            accounts.settle(4, counters(1_001, 1_002), Some(&container("db")), None);
            accounts.close(4, counters(1_003, 1_004));
            accounts.settle(300, counters(1_005, 1_006), Some(&container("web")), Some(&network));
            accounts
                .kept
                .veths
                .insert(301, Veth { settled: counters(1_007, 1_008), account: None });
            accounts
        }
    }

    #[test]
    fn counts_wait_for_the_name_and_go_on_over_a_restart() {
        let mut accounts = Accounts::new(9);
        let network: Arc<str> = "bridge".into();
        accounts.settle(4, counters(10, 20), None, Some(&network));
        assert!(accounts.snapshot().is_empty());
        accounts.settle(4, counters(11, 22), Some(&container("web")), Some(&network));
        accounts.settle(4, counters(15, 30), Some(&container("web")), Some(&network));
        accounts.close(4, counters(16, 33));
        // The same index, another veth of the same container.
        accounts.settle(4, counters(1, 2), Some(&container("web")), Some(&network));
        let all = accounts.snapshot();
        assert_eq!(all.len(), 1);
        assert_eq!(
            (all[0].receive.bytes, all[0].transmit.bytes),
            (35, 17),
            "from the container's side"
        );
    }

    #[test]
    fn the_next_agent_knows_whose_a_veth_was_that_is_gone() {
        let mut accounts = Accounts::new(9);
        accounts.settle(4, counters(10, 20), Some(&container("web")), None);
        let bytes = postcard::to_allocvec(accounts.kept()).unwrap();
        let mut next = Accounts::new(9);
        next.restore(postcard::from_bytes(&bytes).unwrap(), true);
        next.settle(4, counters(15, 30), None, None);
        next.close(4, counters(16, 32));
        next.settle(4, counters(1, 1), Some(&container("db")), None);
        let all = next.snapshot();
        let sums = |name: &str| all.iter().find(|it| &*it.container == name).unwrap();
        assert_eq!((sums("web").transmit.bytes, sums("web").receive.bytes), (16, 32));
        assert_eq!(sums("db").transmit.bytes, 1);
        let mut anew = Accounts::new(9);
        anew.restore(next.kept().clone(), false);
        anew.settle(4, counters(1, 1), Some(&container("db")), None);
        assert_eq!(anew.snapshot().last().map(|it| it.container.to_string()), Some("web".into()));
        let db = anew.snapshot().into_iter().find(|it| &*it.container == "db").unwrap();
        assert_eq!(db.transmit.bytes, 2, "another kernel side counts from zero");
    }
    #[test]
    fn the_largest_have_sums_of_their_own_and_nothing_is_lost() {
        let mut accounts = Accounts::new(2);
        let settle = |accounts: &mut Accounts, name: &str, index, bytes| {
            accounts.settle(index, counters(0, bytes), Some(&container(name)), None);
        };
        settle(&mut accounts, "a", 1, 1_000);
        settle(&mut accounts, "b", 2, 100);
        settle(&mut accounts, "c", 3, 5_000);
        let sums = |accounts: &Accounts| -> Vec<(String, u64)> {
            let all = accounts.snapshot().into_iter();
            all.map(|one| (one.container.to_string(), one.receive.bytes)).collect()
        };
        let named = |sums: &[(&str, u64)]| -> Vec<(String, u64)> {
            sums.iter().map(|(name, bytes)| ((*name).to_owned(), *bytes)).collect()
        };
        assert_eq!(sums(&accounts), named(&[("a", 1_000), ("b", 100), ("other", 5_000)]));
        accounts.name_the_largest(Instant(0));
        assert_eq!(sums(&accounts), named(&[("a", 1_000), ("c", 0), ("other", 5_100)]));
        settle(&mut accounts, "c", 3, 5_001);
        settle(&mut accounts, "b", 2, 102);
        assert_eq!(sums(&accounts), named(&[("a", 1_000), ("c", 1), ("other", 5_102)]));
        assert_eq!(accounts.folded(), 1);
        let mut next = Accounts::new(1);
        next.restore(accounts.kept().clone(), true);
        assert_eq!(sums(&next), named(&[("a", 1_000), ("other", 5_103)]));
    }
}
