//! What can be seen of a container: its veths, and the networks in which it has none on this host.

use std::sync::Arc;

use super::{Directory, key};
use crate::{
    identity::Network,
    model::{
        Appearance, Attachment, Container, Interface, InterfaceKind, OutOfSight, Source, Unseen,
    },
};

impl Directory {
    /// A live container of the engine.
    pub fn container(&self, id: &str) -> Option<&Arc<Container>> {
        self.live.get(&key(Source::Engine, id)).map(|live| &live.container)
    }

    /// A container with the veths that it has now.
    pub(in crate::identity) fn appearance(&self, container: Arc<Container>) -> Appearance {
        let veths = self.veths_of(&container, self.links.values().map(|link| &link.interface));
        Appearance { container, veths }
    }

    /// Veths that a container had until a moment ago.
    pub(in crate::identity) fn departed_veths(&self, container: &Container) -> Vec<String> {
        self.veths_of(container, self.departed.values().map(|departed| &departed.interface))
    }

    fn veths_of<'a>(
        &self,
        container: &Container,
        interfaces: impl Iterator<Item = &'a Interface>,
    ) -> Vec<String> {
        let is_its = |interface: &&Interface| {
            interface.kind == InterfaceKind::Veth
                && self
                    .container_of_interface(interface.index)
                    .is_some_and(|found| found.id == container.id)
        };
        let mut names: Vec<_> = interfaces.filter(is_its).map(|veth| veth.name.clone()).collect();
        names.sort();
        names
    }

    /// Networks in which a container has a veth on this host.
    pub(in crate::identity) fn expected_veths(&self, container: &Container) -> usize {
        if container.host_network || container.shares_with.is_some() {
            return 0;
        }
        container.attachments.iter().filter(|place| self.unseen(place).is_none()).count()
    }

    /// What cannot be observed of a running container, and why. One that shares a namespace is as visible as its owner.
    pub fn out_of_sight(&self, container: &Container) -> Vec<OutOfSight> {
        let all = |reason| vec![OutOfSight { reason, network: None }];
        if container.source != Source::Engine || container.shares_with.is_some() {
            return Vec::new();
        }
        if container.host_network {
            return all(Unseen::HostNetwork);
        }
        if container.pid.is_some() && container.attachments.is_empty() {
            return all(Unseen::NoNetwork);
        }
        let mut found = Vec::new();
        for place in &container.attachments {
            match self.unseen(place) {
                Some(Unseen::NoNetwork) => return all(Unseen::NoNetwork),
                Some(reason) => {
                    let network = Some(place.network.as_str().into());
                    found.push(OutOfSight { reason, network });
                }
                None => {}
            }
        }
        found
    }

    /// The name of a network that an event names by identifier, or by name.
    pub(in crate::identity) fn network_called(&self, word: &str) -> Option<Arc<str>> {
        let mut networks = self.networks.iter();
        let found = networks.find(|network| network.id == word || network.name == word)?;
        Some(found.name.as_str().into())
    }

    fn unseen(&self, place: &Attachment) -> Option<Unseen> {
        let is_it =
            |network: &&Network| network.id == place.network_id || network.name == place.network;
        match self.networks.iter().find(is_it)?.driver.as_str() {
            "null" => Some(Unseen::NoNetwork),
            "macvlan" => Some(Unseen::Macvlan),
            "ipvlan" => Some(Unseen::Ipvlan),
            "overlay" => Some(Unseen::Overlay),
            _ => None,
        }
    }
}
