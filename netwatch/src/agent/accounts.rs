//! What each container has sent and received, over all its veths and restarts.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use crate::model::{Container, ContainerTraffic, InterfaceCounters, Tally};

/// Sums by container name and network. A restarted container goes on under its name.
#[derive(Default)]
pub(super) struct Accounts {
    sums: BTreeMap<(Arc<str>, Arc<str>), (Tally, Tally)>,
    /// What has been added of each veth.
    settled: HashMap<u32, InterfaceCounters>,
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
        let settled = self.settled.entry(ifindex).or_default();
        let new = counters - *settled;
        *settled = counters;
        let network = network.cloned().unwrap_or_else(|| "".into());
        let (receive, transmit) =
            self.sums.entry((container.name.as_str().into(), network)).or_default();
        // The container receives what its veth on the host transmits.
        *receive += new.transmit.tally;
        *transmit += new.receive.tally;
    }

    /// A veth is gone; its index may come again.
    pub(super) fn close(&mut self, ifindex: u32) {
        self.settled.remove(&ifindex);
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

    #[test]
    fn counts_wait_for_the_name_and_go_on_over_a_restart() {
        let mut accounts = Accounts::default();
        let network: Arc<str> = "bridge".into();
        accounts.settle(4, counters(10, 20), None, Some(&network));
        assert!(accounts.snapshot().is_empty());
        accounts.settle(4, counters(11, 22), Some(&container("web")), Some(&network));
        accounts.settle(4, counters(15, 30), Some(&container("web")), Some(&network));
        accounts.close(4);
        // The same index, another veth of the same container.
        accounts.settle(4, counters(1, 2), Some(&container("web")), Some(&network));
        let all = accounts.snapshot();
        assert_eq!(all.len(), 1);
        assert_eq!(
            (all[0].receive.bytes, all[0].transmit.bytes),
            (32, 16),
            "from the container's side"
        );
    }
}
