//! What happened → the directory's state.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    Departed, Directory, EngineState, GRACE, Gone, Index, Key, Link, Live, MOST_LEARNED, key,
};
use crate::{
    identity::{EngineEvent, HostAddress, LinkEvent, Network, What},
    model::{Container, Instant, Interface, Mac, Source},
};

impl Directory {
    /// Takes in what the link monitor says.
    pub fn apply_link(&mut self, event: &LinkEvent, now: Instant) {
        match event {
            LinkEvent::Snapshot(links) => {
                self.set_interfaces(links.iter().map(|(interface, _)| interface.clone()), now);
            }
            LinkEvent::Changed { interface, .. } => self.set_interface(interface.clone(), now),
            LinkEvent::Gone { index, .. } => self.remove_interface(*index, now),
            LinkEvent::Addresses(addresses) => self.set_host_addresses(addresses.clone()),
            LinkEvent::Forwarding(entries) => self.set_forwarding(entries),
            LinkEvent::Neighbour { port, mac, present } => self.learn(*port, *mac, *present),
            LinkEvent::Namespaces(named) => self.set_named(named, now),
            LinkEvent::Failed(_) => {}
        }
    }

    /// Takes in what the engine says. [`Directory::place`] afterwards joins its containers to namespaces.
    pub fn apply_engine(&mut self, event: &EngineEvent, now: Instant) {
        match event {
            EngineEvent::Up { .. } => self.engine = EngineState::Up,
            // What it said last stays good for as long as nobody contradicts: containers outlive their engine.
            EngineEvent::Down { .. } => {
                self.engine = EngineState::Down;
                self.listed = false;
            }
            EngineEvent::Containers(containers) => {
                self.set_containers(containers, now);
                self.listed = true;
            }
            EngineEvent::Networks(networks) => self.set_networks(networks.clone()),
            EngineEvent::Container(container) => self.set_container(container.clone(), None, now),
            EngineEvent::Happened(_) => {}
            EngineEvent::Gone { id } => self.remove_container(id, now),
        }
    }

    /// Takes in what happened to a container, and when by the engine's own word. It comes before what follows from it.
    pub fn happened(&mut self, id: &str, what: &What, at: Instant) {
        match what {
            What::Connected(network) => {
                self.stays.entry(id.to_owned()).or_default().came(network, at);
            }
            What::Disconnected(network) => {
                if let Some(stays) = self.stays.get_mut(id) {
                    stays.left(network);
                }
            }
            What::Removed => {
                self.stays.remove(id);
            }
            _ => {}
        }
    }

    /// Looks up the namespaces of containers that have a process and no namespace yet; asks `resolve` for the process's.
    /// Cheap when there is nothing to do: call it after each batch of events.
    pub fn place(&mut self, resolve: impl Fn(i32) -> Option<i32>) {
        let mut found = false;
        for live in self.live.values_mut() {
            let unplaced = live.namespace.is_none() && !live.container.host_network;
            if let Some(pid) = live.container.pid.filter(|_| unplaced) {
                live.namespace = resolve(pid);
                found |= live.namespace.is_some();
            }
        }
        if found {
            self.reindex();
        }
    }

    /// All interfaces; what is missing has gone.
    pub fn set_interfaces(
        &mut self,
        interfaces: impl IntoIterator<Item = Interface>,
        now: Instant,
    ) {
        let mut vanished: HashSet<u32> = self.links.keys().copied().collect();
        for interface in interfaces {
            vanished.remove(&interface.index);
            let born = self.links.get(&interface.index).and_then(|link| link.born);
            self.store(interface, born, now);
        }
        for index in vanished {
            self.remove_interface(index, now);
        }
    }

    /// An interface came or changed.
    pub fn set_interface(&mut self, interface: Interface, now: Instant) {
        let known = self.links.get(&interface.index);
        let born = known.map_or(Some(now), |link| link.born);
        self.store(interface, born, now);
    }

    fn store(&mut self, interface: Interface, born: Option<Instant>, now: Instant) {
        let index = interface.index;
        let before = self.links.get(&index).and_then(|link| link.interface.peer_namespace);
        let mut settled = self.links.get(&index).and_then(|link| link.settled.clone());
        if before.is_some() && before != interface.peer_namespace {
            settled = self.container_of_interface(index);
        }
        if interface.peer_namespace.is_some() && before != interface.peer_namespace {
            settled = None;
        }
        let known = self.links.contains_key(&index);
        let network = if known { self.network_of_interface(index) } else { None };
        self.departed.remove(&index);
        self.links.insert(index, Link { interface, settled, network, born });
        self.release(before);
        self.expire(now);
    }

    /// An interface was deleted.
    pub fn remove_interface(&mut self, index: u32, now: Instant) {
        let (container, network) =
            (self.container_of_interface(index), self.network_of_interface(index));
        if let Some(Link { interface, born, .. }) = self.links.remove(&index) {
            let namespace = interface.peer_namespace;
            let departed = Departed { container, network, interface, born, at: now };
            self.departed.insert(index, departed);
            self.release(namespace);
        }
        self.expire(now);
    }

    /// All addresses of the host.
    pub fn set_host_addresses(&mut self, addresses: Vec<HostAddress>) {
        self.host_addresses = addresses;
        self.collect_host();
    }

    /// The forwarding tables of all bridges.
    pub fn set_forwarding(&mut self, entries: &[(u32, Mac)]) {
        // What bridges forgot meanwhile was not told.
        let index = &self.index;
        self.ports.retain(|mac, _| index.claims(*mac));
        for (port, mac) in entries {
            self.learn(*port, *mac, true);
        }
    }

    /// A bridge learned an address, or forgot it, which is no reason for us to do so if it is a container's. Others are
    /// bounded: a container can send from as many as it likes.
    pub fn learn(&mut self, port: u32, mac: Mac, present: bool) {
        let claimed = self.index.claims(mac);
        if present {
            let has_room = self.ports.len() < MOST_LEARNED || self.ports.contains_key(&mac);
            if claimed || has_room {
                self.ports.insert(mac, port);
            }
        } else if !claimed && self.ports.get(&mac) == Some(&port) {
            self.ports.remove(&mac);
        }
    }

    /// All running containers of the engine; what is missing has gone.
    pub fn set_containers(&mut self, containers: &[Container], now: Instant) {
        let listed: HashSet<&str> =
            containers.iter().map(|container| container.id.as_str()).collect();
        let vanished: Vec<_> = self
            .live
            .keys()
            .filter(|(engine, id)| *engine && !listed.contains(id.as_str()))
            .cloned()
            .collect();
        for key in vanished {
            self.retire(&key, now);
        }
        for container in containers {
            self.insert(container.clone(), None, now);
        }
        self.reindex();
    }

    /// A container came or changed. `namespace` where it is known already.
    pub fn set_container(&mut self, container: Container, namespace: Option<i32>, now: Instant) {
        self.insert(container, namespace, now);
        self.expire(now);
        self.reindex();
    }

    /// A container of the engine stopped.
    pub fn remove_container(&mut self, id: &str, now: Instant) {
        self.retire(&key(Source::Engine, id), now);
        self.expire(now);
        self.reindex();
    }

    /// All named namespaces with their numbers.
    pub fn set_named(&mut self, named: &[(Container, i32)], now: Instant) {
        let listed: HashSet<&str> =
            named.iter().map(|(container, _)| container.id.as_str()).collect();
        let vanished: Vec<_> = self
            .live
            .keys()
            .filter(|(engine, id)| !engine && !listed.contains(id.as_str()))
            .cloned()
            .collect();
        for key in vanished {
            self.retire(&key, now);
        }
        for (container, namespace) in named {
            self.insert(container.clone(), Some(*namespace), now);
        }
        self.reindex();
    }

    /// All networks of the engine.
    pub fn set_networks(&mut self, networks: Vec<Network>) {
        self.networks = networks;
        self.collect_host();
    }

    /// Forgets what went more than [`GRACE`] ago.
    pub fn expire(&mut self, now: Instant) {
        self.expire_arrivals(now);
        let before = self.gone.len();
        self.gone.retain(|gone| now.since(gone.at) < GRACE);
        self.departed.retain(|_, departed| now.since(departed.at) < GRACE);
        self.ports
            .retain(|_, port| self.links.contains_key(port) || self.departed.contains_key(port));
        if self.gone.len() != before {
            self.reindex();
        }
    }

    fn insert(&mut self, mut container: Container, namespace: Option<i32>, now: Instant) {
        let key = key(container.source, &container.id);
        let known = self.live.get(&key);
        if let Some(known) = known {
            container.shared_by.clone_from(&known.container.shared_by);
        }
        if let Some(known) =
            known.filter(|known| *known.container == container && namespace.is_none())
        {
            tracing::trace!(name = known.container.name, "a container that is as it was");
            return;
        }
        // The same process is in the same namespace; an announcement without one says nothing about that.
        let namespace = namespace
            .or_else(|| known.filter(|known| known.container.pid == container.pid)?.namespace);
        let moved = known.is_some_and(|known| known.container.attachments != container.attachments);
        if moved && let Some(known) = known.cloned() {
            self.gone.push(Gone { live: known, at: now });
        }
        self.order += 1;
        let stays = self.stays.get(&container.id).cloned().unwrap_or_default();
        let container = Arc::new(container);
        self.live.insert(key, Live { container, namespace, order: self.order, stays });
    }

    /// As long as a veth is there it leads to whom it led to: it can have been known by an Ethernet address only, which is
    /// the next one's from now on.
    fn retire(&mut self, key: &Key, now: Instant) {
        if let Some(live) = self.live.get(key) {
            let is_its = |index: &u32| {
                let found = self.container_of_interface(*index);
                found.is_some_and(|found| found.id == live.container.id)
            };
            let its: Vec<_> = self.links.keys().copied().filter(is_its).collect();
            let container = Arc::clone(&live.container);
            for index in its {
                if let Some(link) = self.links.get_mut(&index) {
                    link.settled = Some(Arc::clone(&container));
                }
            }
        }
        self.stays.remove(&key.1);
        if let Some(live) = self.live.remove(key) {
            self.gone.push(Gone { live, at: now });
        }
    }

    /// The last interface that led into a namespace has gone: the kernel may give the number to another one now.
    fn release(&mut self, namespace: Option<i32>) {
        let Some(namespace) = namespace else { return };
        if self.links.values().any(|link| link.interface.peer_namespace == Some(namespace)) {
            return;
        }
        let live = self.live.values_mut();
        for live in live.chain(self.gone.iter_mut().map(|gone| &mut gone.live)) {
            if live.namespace == Some(namespace) {
                live.namespace = None;
            }
        }
        self.reindex();
    }

    fn collect_host(&mut self) {
        self.host = self.host_addresses.iter().map(|host| host.address).collect();
        let bridged = self.networks.iter().filter(|network| network.bridge.is_some());
        self.host.extend(bridged.flat_map(|network| network.gateways.iter().copied()));
    }

    /// Gives each container the names of those that share its namespace.
    fn share(&mut self) {
        let mut sharers: HashMap<String, Vec<String>> = HashMap::new();
        for live in self.live.values() {
            if let Some(owner) = &live.container.shares_with {
                sharers.entry(owner.clone()).or_default().push(live.container.name.clone());
            }
        }
        for live in self.live.values_mut().filter(|live| live.container.source == Source::Engine) {
            let mut shared_by = sharers.get(&live.container.name).cloned().unwrap_or_default();
            shared_by.sort();
            if live.container.shared_by != shared_by {
                live.container = Arc::new(Container { shared_by, ..(*live.container).clone() });
            }
        }
    }

    fn reindex(&mut self) {
        self.share();
        self.index = Index::new(self.live.values(), &self.gone);
    }
}
