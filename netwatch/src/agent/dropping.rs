//! Drops: in which namespaces they are observed, whose these are, and how many there were in all.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use super::{OTHERS, core::Core, joining::Joining};
use crate::{
    datapath::Datapath,
    flow::Tracker,
    identity::{Directory, namespace_inode},
    model::{
        Container, DropCount, DropPlace, DropSite, DropTotal, DroppedPacket, Feature,
        InterfaceKind, Observation, Source,
    },
};

/// The feature that is lacking where containers' namespaces cannot be looked up.
const NAMESPACES: &str = "drops_in_containers";
/// Where, in metrics: in a container's namespace, and at its veth. Names of interfaces come and go.
pub(super) const INSIDE: &str = "inside";
pub(super) const VETH: &str = "veth";

/// Sums by container name, reason and place; and the namespaces that are observed.
#[derive(Default)]
pub(super) struct Dropping {
    sums: BTreeMap<Kind, u64>,
    /// So many of them; what comes then is added up together.
    most: usize,
    /// By our identifier.
    observed: HashMap<u32, Namespace>,
    last_id: u32,
    /// Numbers of namespaces that have been looked up: by container, for the process that it had.
    numbers: HashMap<String, (Option<i32>, Option<u32>)>,
    /// Why the last look-up failed that should not have.
    refused: Option<String>,
}

/// What is added up. As [`DropTotal`].
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    container: Arc<str>,
    reason: Arc<str>,
    place: Arc<str>,
}

struct Namespace {
    /// The kernel's number.
    number: u32,
    /// Identifier of the container that it is observed for: the number is given to the next one at once.
    container: String,
    name: Arc<str>,
}

impl Dropping {
    /// Adds up so many kinds apart.
    pub(super) fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// Observes the namespaces of the containers that there are. Answers with those that are observed no more, whose
    /// last counts are still to be read.
    pub(super) fn follow(&mut self, directory: &Directory, datapath: &mut Datapath) -> Vec<u32> {
        let mut owners = self.owners(directory);
        let mut gone = Vec::new();
        for (id, namespace) in &mut self.observed {
            match owners.get(&namespace.number) {
                Some(owner) if owner.id == namespace.container => {
                    if *namespace.name != *owner.name {
                        namespace.name = owner.name.as_str().into();
                    }
                    owners.remove(&namespace.number);
                }
                _ => {
                    datapath.forget_namespace(namespace.number, *id);
                    gone.push(*id);
                }
            }
        }
        for (number, container) in owners {
            self.last_id += 1;
            if let Err(error) = datapath.observe_namespace(number, self.last_id) {
                tracing::warn!(container = container.name, %error, "its drops are not observed");
                continue;
            }
            let (id, name) = (container.id.clone(), container.name.as_str().into());
            self.observed.insert(self.last_id, Namespace { number, container: id, name });
        }
        gone
    }

    /// Which container each namespace is observed for: the owner before those who share it, the engine's before that of
    /// `ip netns`.
    fn owners(&mut self, directory: &Directory) -> HashMap<u32, Arc<Container>> {
        let mut containers: Vec<_> =
            directory.containers().filter(|container| !container.host_network).collect();
        containers.sort_by_key(|container| {
            (container.shares_with.is_some(), container.source != Source::Engine)
        });
        let mut owners = HashMap::new();
        for container in &containers {
            if let Some(number) = self.number(container) {
                owners.entry(number).or_insert_with(|| Arc::clone(container));
            }
        }
        if self.numbers.len() > containers.len() {
            self.numbers.retain(|id, _| containers.iter().any(|container| container.id == *id));
        }
        owners
    }

    fn number(&mut self, container: &Container) -> Option<u32> {
        match self.numbers.get(&container.id) {
            Some((pid, number)) if *pid == container.pid && number.is_some() => return *number,
            _ => {}
        }
        let number = namespace_inode(container).unwrap_or_else(|error| {
            // A process that has gone is everyday life, and tried again with the next event.
            if error.kind() != std::io::ErrorKind::NotFound && self.refused.is_none() {
                let what = "drops inside of containers are not counted: their network namespaces are out of reach";
                tracing::warn!(container = container.name, %error, "{what}");
                self.refused =
                    Some(format!("the network namespace of {}: {error}", container.name));
            }
            None
        });
        self.numbers.insert(container.id.clone(), (container.pid, number));
        number
    }

    /// Forgets namespaces whose last counts have been read.
    pub(super) fn forget(&mut self, gone: &[u32]) {
        for id in gone {
            self.observed.remove(id);
        }
    }

    /// Adds what has been dropped since the last time.
    pub(super) fn add(&mut self, count: &DropCount, directory: &Directory) {
        let nobody = || Arc::<str>::from("");
        let (container, place) = match count.site {
            None => (nobody(), nobody()),
            Some(DropSite::Inside { namespace, .. }) => (self.name(namespace), INSIDE.into()),
            Some(DropSite::Host { ifindex }) => {
                let container = directory.container_of_interface(ifindex);
                let container = container.map_or_else(nobody, |known| known.name.as_str().into());
                let place = match directory.interface(ifindex) {
                    Some(link) if link.kind == InterfaceKind::Veth => VETH.into(),
                    Some(link) => link.name.as_str().into(),
                    None => nobody(),
                };
                (container, place)
            }
        };
        let mut kind = Kind { container, reason: Arc::clone(&count.reason), place };
        if self.sums.len() >= self.most && !self.sums.contains_key(&kind) {
            let other = || Arc::<str>::from(OTHERS);
            kind = Kind { container: other(), reason: other(), place: nobody() };
        }
        *self.sums.entry(kind).or_default() += count.packets;
    }

    /// The name of where a packet of a flow was dropped.
    pub(super) fn place(&self, site: DropSite, directory: &Directory) -> DropPlace {
        match site {
            DropSite::Inside { namespace, .. } => DropPlace::Inside(self.name(namespace)),
            DropSite::Host { ifindex } => {
                let name = directory.interface(ifindex).map(|link| link.name.as_str().into());
                DropPlace::Interface(name.unwrap_or_else(|| format!("ifindex-{ifindex}").into()))
            }
        }
    }

    fn name(&self, namespace: u32) -> Arc<str> {
        self.observed.get(&namespace).map_or_else(|| "".into(), |known| Arc::clone(&known.name))
    }

    /// Whose sums there are, and at which interfaces.
    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.sums.keys().flat_map(|kind| [&kind.container, &kind.place])
    }

    /// These have been gone for long.
    pub(super) fn forget_names(&mut self, names: &HashSet<Arc<str>>) {
        self.sums
            .retain(|kind, _| !names.contains(&kind.container) && !names.contains(&kind.place));
    }

    /// All sums.
    pub(super) fn totals(&self) -> Vec<DropTotal> {
        self.sums
            .iter()
            .map(|(kind, packets)| DropTotal {
                container: Arc::clone(&kind.container),
                reason: Arc::clone(&kind.reason),
                place: Arc::clone(&kind.place),
                packets: *packets,
            })
            .collect()
    }

    /// What is there, the kernel's part and ours, and why not.
    pub(super) fn features(&self, datapath: &Datapath) -> Vec<Feature> {
        let mut features: Vec<Feature> = datapath.features().cloned().collect();
        let lacking = features.iter().find_map(|feature| feature.lacking.clone());
        features.push(Feature {
            name: NAMESPACES,
            lacking: if datapath.counts_drops() { self.refused.clone() } else { lacking },
        });
        features
    }
}

impl Core {
    /// Observes the namespaces of the containers that there are now.
    pub(super) fn follow_namespaces(&mut self) {
        if !self.datapath.counts_drops() {
            return;
        }
        let gone = self.dropping.follow(&self.directory, &mut self.datapath);
        if !gone.is_empty() {
            // While they still have names.
            self.read_flows();
            self.settle_drops();
            self.dropping.forget(&gone);
        }
    }

    /// Takes up what has been dropped.
    pub(super) fn settle_drops(&mut self) {
        let (dropping, directory) = (&mut self.dropping, &self.directory);
        self.datapath.read_drop_counts(|count| dropping.add(&count, directory));
    }

    /// Takes up the flows whose entries gave way.
    pub(super) fn read_evicted(&mut self) {
        if !self.ready {
            return;
        }
        let Self { datapath, tracker, joining, directory, .. } = self;
        // What is told of connections is heard in time, also while nobody asks.
        joining.read(directory, tracker);
        datapath.read_evicted(|observation| observe(tracker, joining, directory, &observation));
    }

    pub(super) fn observe(&mut self, observation: &Observation) {
        observe(&mut self.tracker, &mut self.joining, &self.directory, observation);
    }

    /// Takes up the flows, and which of their packets were dropped.
    pub(super) fn read_flows(&mut self) {
        if !self.ready {
            return;
        }
        // Before the flows: a packet passed the hook first and was dropped then, so its flow is among them.
        let dropped = self.datapath.read_dropped_packets();
        let Self { datapath, tracker, joining, directory, .. } = self;
        datapath.read_flows(|observation| observe(tracker, joining, directory, &observation));
        // Of a flow that was read before it left the host's stack, nothing had been told.
        joining.read(directory, tracker);
        for packet in dropped.iter().filter(|packet| !is_spent(packet)) {
            let place = self.dropping.place(packet.site, &self.directory);
            self.tracker.observe_drop(packet, &place);
        }
    }
}

/// Takes up an observation. Before it makes a new flow, what has been told of connections is heard: it may belong to one that
/// is known by other addresses.
fn observe(
    tracker: &mut Tracker,
    joining: &mut Joining,
    directory: &Directory,
    observation: &Observation,
) {
    tracker.observe(observation, |tracker| joining.read(directory, tracker));
}

/// The kernel's own copy of an ICMP message, which it gives up for want of a "ping socket" when raw sockets, such as those
/// of most pings, have had theirs.
fn is_spent(packet: &DroppedPacket) -> bool {
    packet.protocol.is_icmp() && &*packet.reason == "no-socket"
}
