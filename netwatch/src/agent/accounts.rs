//! What each container has sent and received, over all its veths and restarts.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::model::{Container, ContainerTraffic, InterfaceCounters, Tally};

/// Sums by container name and network. A restarted container goes on under its name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Accounts {
    sums: BTreeMap<(Arc<str>, Arc<str>), (Tally, Tally)>,
    veths: BTreeMap<u32, Veth>,
}

/// A veth that is there.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Veth {
    /// What has been added of it.
    settled: InterfaceCounters,
    /// Whose it was then.
    account: Option<(Arc<str>, Arc<str>)>,
}

impl Accounts {
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

    fn add(&mut self, ifindex: u32, counters: InterfaceCounters, account: (Arc<str>, Arc<str>)) {
        let veth = self.veths.entry(ifindex).or_default();
        let new = counters - veth.settled;
        veth.settled = counters;
        let (receive, transmit) = self.sums.entry(account.clone()).or_default();
        // The container receives what its veth on the host transmits.
        *receive += new.transmit.tally;
        *transmit += new.receive.tally;
        veth.account = Some(account);
    }

    /// A veth is gone, with these last counters; its index may come again. What nobody was known for in the end, as with an
    /// agent that has only just started, goes to whose it was before.
    pub(super) fn close(&mut self, ifindex: u32, last: InterfaceCounters) {
        if let Some(account) = self.veths.get(&ifindex).and_then(|veth| veth.account.clone()) {
            self.add(ifindex, last, account);
        }
        self.veths.remove(&ifindex);
    }

    /// The sums alone, for a kernel side that begins anew.
    pub(super) fn sums(self) -> Self {
        Self { veths: BTreeMap::new(), ..self }
    }

    /// Whose sums there are.
    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.sums.keys().map(|(container, _)| container)
    }

    /// These have been gone for long.
    pub(super) fn forget(&mut self, names: &HashSet<Arc<str>>) {
        self.sums.retain(|(container, _), _| !names.contains(container));
    }

    /// All sums.
    pub(super) fn snapshot(&self) -> Vec<ContainerTraffic> {
        self.sums
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
            let mut accounts = Self::default();
            let network: Arc<str> = "shop_default".into();
            accounts.settle(4, counters(1_001, 1_002), Some(&container("db")), None);
            accounts.close(4, counters(1_003, 1_004));
            accounts.settle(300, counters(1_005, 1_006), Some(&container("web")), Some(&network));
            accounts.veths.insert(301, Veth { settled: counters(1_007, 1_008), account: None });
            accounts
        }
    }

    #[test]
    fn counts_wait_for_the_name_and_go_on_over_a_restart() {
        let mut accounts = Accounts::default();
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
        let mut accounts = Accounts::default();
        accounts.settle(4, counters(10, 20), Some(&container("web")), None);
        let bytes = postcard::to_allocvec(&accounts).unwrap();
        let mut next: Accounts = postcard::from_bytes(&bytes).unwrap();
        next.settle(4, counters(15, 30), None, None);
        next.close(4, counters(16, 32));
        next.settle(4, counters(1, 1), Some(&container("db")), None);
        let all = next.snapshot();
        let sums = |name: &str| all.iter().find(|it| &*it.container == name).unwrap();
        assert_eq!((sums("web").transmit.bytes, sums("web").receive.bytes), (16, 32));
        assert_eq!(sums("db").transmit.bytes, 1);
        let mut anew = next.sums();
        anew.settle(4, counters(1, 1), Some(&container("db")), None);
        assert_eq!(anew.snapshot().last().map(|it| it.container.to_string()), Some("web".into()));
        let db = anew.snapshot().into_iter().find(|it| &*it.container == "db").unwrap();
        assert_eq!(db.transmit.bytes, 2, "another kernel side counts from zero");
    }
}
