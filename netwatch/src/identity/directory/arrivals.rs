//! Whose a veth is by the time at which it came: for containers that have gone before the engine was heard about their
//! networks, of which nothing but events is known.
//!
//! Promises: nothing is said that is not certain. A veth is a container's only where it came into that network between
//! two events of that container, and neither any other container nor any other veth of unknown owner can be meant.

use std::{sync::Arc, time::Duration};

use super::{Directory, GRACE, key};
use crate::model::{Container, Instant, InterfaceKind, Source};

/// From a veth to the event that tells of its container's place in the network, at most.
const LONGEST: Duration = Duration::from_secs(10);
/// Arrivals that are remembered. One more, and the oldest is forgotten.
const MOST: usize = 4_096;

/// A container came into a network.
#[derive(Debug)]
pub(super) struct Arrival {
    container: Arc<Container>,
    /// The network, by identifier or name.
    network: String,
    /// Its veth was made after this, and before the engine told of it.
    after: Instant,
    before: Instant,
}

impl Directory {
    /// The engine tells that a container is in a network, and when it had told of it before, if it had.
    pub fn arrive(
        &mut self,
        container: &Container,
        network: &str,
        told_before: Option<Instant>,
        now: Instant,
    ) {
        let earliest =
            Instant(now.0.saturating_sub(u64::try_from(LONGEST.as_nanos()).unwrap_or(u64::MAX)));
        if self.arrivals.len() == MOST {
            self.arrivals.remove(0);
        }
        self.arrivals.push(Arrival {
            container: Arc::new(container.clone()),
            network: network.to_owned(),
            after: told_before.unwrap_or_default().max(earliest),
            before: now,
        });
    }

    pub(super) fn expire_arrivals(&mut self, now: Instant) {
        self.arrivals.retain(|arrival| now.since(arrival.before) < GRACE);
    }

    /// The only container that can have brought a veth.
    pub(super) fn container_that_came_with(&self, index: u32) -> Option<Arc<Container>> {
        let mut candidates: Vec<&Arrival> = self.arrivals_with(index).collect();
        candidates.retain(|arrival| self.place_is_open(arrival));
        let [only] = candidates.as_slice() else { return None };
        let mut veths = self.veth_indices().filter(|veth| {
            self.owner(*veth).is_none() && self.arrivals_with(*veth).any(|one| one.is(only))
        });
        let is_only = veths.next() == Some(index) && veths.next().is_none();
        is_only.then(|| {
            // It may have been renamed.
            let live = self.live.get(&key(Source::Engine, &only.container.id));
            Arc::clone(live.map_or(&only.container, |live| &live.container))
        })
    }

    /// Containers that came into its network when it did.
    fn arrivals_with(&self, index: u32) -> impl Iterator<Item = &Arrival> {
        let born = self.born(index);
        let network = born.and_then(|_| self.network_of_interface(index));
        let is_in = move |arrival: &&Arrival| {
            born.is_some_and(|born| arrival.after <= born && born <= arrival.before)
                && network.is_some()
                && self.network_called(&arrival.network) == network
        };
        self.arrivals.iter().filter(is_in)
    }

    /// Whether it is not known which veth a container has in that network.
    fn place_is_open(&self, arrival: &Arrival) -> bool {
        let network = self.network_called(&arrival.network);
        !self.veth_indices().any(|veth| {
            self.network_of_interface(veth) == network
                && self.owner(veth).is_some_and(|owner| owner.id == arrival.container.id)
        })
    }

    /// Those that there are, and those that there were until a moment ago.
    fn veth_indices(&self) -> impl Iterator<Item = u32> {
        let present = self.links.values().map(|link| &link.interface);
        let departed = self.departed.values().map(|departed| &departed.interface);
        present
            .chain(departed)
            .filter(|link| link.kind == InterfaceKind::Veth)
            .map(|link| link.index)
    }

    /// When an interface came; `None`: it was there before us.
    fn born(&self, index: u32) -> Option<Instant> {
        match self.links.get(&index) {
            Some(link) => link.born,
            None => self.departed.get(&index)?.born,
        }
    }
}

impl Arrival {
    fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testbed::{at, docker_host, stop, veth};
    use super::*;
    use crate::identity::{EngineEvent, LinkEvent, directory::testbed::container};

    const NETWORK: &str = "0123456789abcdef";

    /// As an event of its creation tells of it.
    fn created(name: &str) -> Container {
        Container { attachments: Vec::new(), pid: None, ..container(name, 1, "172.17.0.2", 1) }
    }

    fn appear(directory: &mut Directory, index: u32, seconds: u64) {
        let interface = veth(index, 100 + i32::try_from(index).unwrap());
        directory.set_interface(interface, at(seconds));
    }

    fn vanish(directory: &mut Directory, index: u32, seconds: u64) {
        directory.apply_link(&LinkEvent::Gone { index, name: String::new() }, at(seconds));
    }

    fn owner(directory: &Directory, index: u32) -> Option<String> {
        directory.container_of_interface(index).map(|container| container.name.clone())
    }

    fn arrive(directory: &mut Directory, name: &str, from: u64, to: u64) {
        directory.arrive(&created(name), NETWORK, Some(at(from)), at(to));
    }

    #[test]
    fn one_that_lived_between_two_events_is_named() {
        let mut directory = docker_host();
        appear(&mut directory, 5, 2);
        assert_eq!(owner(&directory, 5), None);
        arrive(&mut directory, "brief", 1, 3);
        assert_eq!(owner(&directory, 5).as_deref(), Some("brief"));
        directory.apply_engine(&EngineEvent::Gone { id: "id-of-brief".to_owned() }, at(3));
        vanish(&mut directory, 5, 4);
        assert_eq!(owner(&directory, 5).as_deref(), Some("brief"));
        // The next one, with the same address, is told of when its veth has gone.
        appear(&mut directory, 6, 6);
        vanish(&mut directory, 6, 7);
        arrive(&mut directory, "next", 5, 8);
        assert_eq!(owner(&directory, 5).as_deref(), Some("brief"));
        assert_eq!(owner(&directory, 6).as_deref(), Some("next"));
        directory.expire(at(100));
        assert_eq!((owner(&directory, 5), owner(&directory, 6)), (None, None));
    }

    #[test]
    fn what_is_not_certain_is_not_said() {
        let mut directory = docker_host();
        appear(&mut directory, 5, 2);
        appear(&mut directory, 6, 2);
        arrive(&mut directory, "one", 1, 3);
        assert_eq!((owner(&directory, 5), owner(&directory, 6)), (None, None), "two veths");
        arrive(&mut directory, "other", 1, 3);
        vanish(&mut directory, 6, 4);
        assert_eq!((owner(&directory, 5), owner(&directory, 6)), (None, None), "and two of them");
        let mut directory = docker_host();
        appear(&mut directory, 5, 2);
        arrive(&mut directory, "early", 0, 1);
        arrive(&mut directory, "late", 3, 4);
        directory.arrive(&created("elsewhere"), "shop", Some(at(1)), at(3));
        assert_eq!(owner(&directory, 5), None);
        let mut directory = docker_host();
        directory.set_interfaces([veth(5, 105)], at(2));
        arrive(&mut directory, "one", 1, 3);
        assert_eq!(owner(&directory, 5), None, "it was there before us");
    }

    #[test]
    fn whose_veth_is_known_is_nobody_elses() {
        let mut directory = docker_host();
        appear(&mut directory, 5, 2);
        appear(&mut directory, 6, 2);
        arrive(&mut directory, "one", 1, 3);
        arrive(&mut directory, "other", 1, 3);
        let known = container("one", 11, "172.17.0.2", 1);
        directory.apply_engine(&EngineEvent::Container(known), at(3));
        directory.place(|pid| (pid == 11).then_some(105));
        assert_eq!(owner(&directory, 5).as_deref(), Some("one"));
        assert_eq!(owner(&directory, 6).as_deref(), Some("other"));
        stop(&mut directory, 5, "one", 4);
        assert_eq!(owner(&directory, 5).as_deref(), Some("one"));
        assert_eq!(owner(&directory, 6).as_deref(), Some("other"));
    }
}
