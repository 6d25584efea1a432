//! How large the packets of each container are, estimated from samples at its veths.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use super::OTHERS;
use crate::model::{Container, ContainerSizes, EntrySide, Sample, SizeHistogram};

/// Histograms by container name and network. A restarted container goes on under its name.
#[derive(Default)]
pub(super) struct Sizes {
    /// So many have histograms of their own, the others have them together.
    most: usize,
    sums: BTreeMap<(Arc<str>, Arc<str>), Both>,
    /// By veth, until it is known whose it is.
    waiting: HashMap<u32, Both>,
}

#[derive(Default)]
struct Both {
    receive: SizeHistogram,
    transmit: SizeHistogram,
}

impl Sizes {
    /// So many have histograms of their own.
    pub(super) fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// Adds a sample taken at a veth.
    pub(super) fn add(&mut self, sample: &Sample) {
        let waiting = self.waiting.entry(sample.ifindex).or_default();
        // The container receives what its veth on the host transmits.
        match sample.side {
            EntrySide::Ingress => waiting.transmit.add(sample),
            EntrySide::Egress => waiting.receive.add(sample),
        }
    }

    /// Adds what was sampled at a veth to the container behind it. Until the container is known, it waits.
    pub(super) fn settle(
        &mut self,
        ifindex: u32,
        container: Option<&Container>,
        network: Option<&Arc<str>>,
    ) {
        let Some(container) = container else { return };
        let Some(waiting) = self.waiting.remove(&ifindex) else { return };
        let network = network.cloned().unwrap_or_else(|| "".into());
        let mut key = (container.name.as_str().into(), network);
        if self.sums.len() >= self.most && !self.sums.contains_key(&key) {
            key = (OTHERS.into(), "".into());
        }
        let sums = self.sums.entry(key).or_default();
        sums.receive.merge(&waiting.receive);
        sums.transmit.merge(&waiting.transmit);
    }

    /// A veth is gone; its index may come again.
    pub(super) fn close(&mut self, ifindex: u32) {
        self.waiting.remove(&ifindex);
    }

    /// These have been gone for long.
    pub(super) fn forget(&mut self, names: &HashSet<Arc<str>>) {
        self.sums.retain(|(container, _), _| !names.contains(container));
    }

    /// All histograms.
    pub(super) fn snapshot(&self) -> Vec<ContainerSizes> {
        self.sums
            .iter()
            .map(|((container, network), both)| ContainerSizes {
                container: Arc::clone(container),
                network: Arc::clone(network),
                receive: both.receive,
                transmit: both.transmit,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::model::{Instant, Source};

    fn sample(ifindex: u32, side: EntrySide) -> Sample {
        Sample {
            time: Instant(0),
            ifindex,
            side,
            len: 100,
            wire_len: 100,
            segments: 1,
            gso_size: 0,
            rate: 10,
            bytes: Bytes::new(),
        }
    }

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

    #[test]
    fn containers_are_bounded() {
        let mut sizes = Sizes::new(10);
        for (number, ifindex) in (0..15).chain([7]).zip(0..) {
            sizes.add(&sample(ifindex, EntrySide::Ingress));
            sizes.settle(ifindex, Some(&container(&format!("c{number}"))), None);
        }
        let all = sizes.snapshot();
        assert_eq!(all.len(), 11);
        let of = |name: &str| all.iter().find(|one| &*one.container == name).unwrap();
        assert_eq!([of("c7"), of(OTHERS)].map(|one| one.transmit.count()), [20, 50]);
    }

    #[test]
    fn samples_wait_for_the_name() {
        let web = container("web");
        let network: Arc<str> = "bridge".into();
        let mut sizes = Sizes::new(10);
        sizes.add(&sample(4, EntrySide::Ingress));
        sizes.add(&sample(5, EntrySide::Ingress));
        sizes.settle(4, None, Some(&network));
        sizes.close(5);
        assert!(sizes.snapshot().is_empty());
        sizes.add(&sample(4, EntrySide::Egress));
        sizes.add(&sample(5, EntrySide::Ingress));
        for ifindex in [4, 5, 4] {
            sizes.settle(ifindex, Some(&web), Some(&network));
        }
        let all = sizes.snapshot();
        assert_eq!(all.len(), 1);
        assert_eq!(
            (all[0].receive.count(), all[0].transmit.count()),
            (10, 20),
            "from the container's side; what another veth of this number had is forgotten"
        );
    }
}
