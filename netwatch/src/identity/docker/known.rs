//! What the engine has told so far. Pure: events and answers in, events and questions out.
//!
//! An engine holds a container's lock from its first network endpoint until its process runs (0.3 s here), and answers no
//! inspection meanwhile. The network does answer: so a container is announced with name and addresses from there, before
//! its first packet, and with its process afterwards. Stopped containers are remembered for the sake of their names.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use bollard::models::{ContainerInspectResponse, EventMessage, NetworkInspect};

use super::{
    EngineEvent, Happening, What, convert,
    happening::{self, Subject},
};
use crate::{
    identity::Network,
    model::{Attachment, Container, WallTime},
};

/// What to ask the engine for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// A container; the number tells whether it has stopped since.
    Container { id: String, life: u64 },
    /// A network, for one container's place in it.
    Place { network: String, container: String, life: u64 },
    /// All networks.
    Networks,
}

#[derive(Debug)]
struct Entry {
    /// Its `shares_with` is the other's identifier.
    container: Container,
    announced: bool,
    life: u64,
    /// When something happened to it last.
    at: Option<WallTime>,
}

/// Containers and networks of one connection to the engine.
#[derive(Debug, Default)]
pub(super) struct Known {
    containers: HashMap<String, Entry>,
    networks: HashSet<String>,
    /// Containers that have stopped while the first list was being made: it may say that they run.
    stopped_meanwhile: Option<HashSet<String>>,
    lives: u64,
    pub(super) out: Vec<EngineEvent>,
    pub(super) questions: Vec<Question>,
}

impl Known {
    pub(super) fn new() -> Self {
        Self { stopped_meanwhile: Some(HashSet::new()), ..Self::default() }
    }

    /// The first list: containers and whether they run.
    pub(super) fn listed(&mut self, containers: Vec<(Container, bool)>, networks: Vec<Network>) {
        self.networks(networks);
        let stopped = self.stopped_meanwhile.take().unwrap_or_default();
        for (container, runs) in containers {
            if !stopped.contains(&container.id) {
                self.list(container, runs);
            }
        }
        let running = self.containers.values().filter(|entry| entry.announced);
        let running = running.map(|entry| self.resolved(&entry.container)).collect();
        self.out.push(EngineEvent::Containers(running));
    }

    /// Takes in a container of the list. Events may have spoken of it while the list was being made, and what they led to
    /// asking for is newer; an event by itself knows little.
    fn list(&mut self, mut container: Container, runs: bool) {
        let id = container.id.clone();
        let entry = self.entry(&id, || convert::stub(&id, ""));
        entry.announced |= runs;
        if entry.container.pid.is_some() {
            return;
        }
        if !entry.container.name.is_empty() {
            container.name = std::mem::take(&mut entry.container.name);
        }
        if container.pid.is_none() && !entry.container.attachments.is_empty() {
            container.attachments = std::mem::take(&mut entry.container.attachments);
        }
        entry.container = container;
    }

    pub(super) fn networks(&mut self, networks: Vec<Network>) {
        self.networks = networks.iter().map(|network| network.id.clone()).collect();
        self.out.push(EngineEvent::Networks(networks));
    }

    /// Takes in an event of the engine.
    pub(super) fn event(&mut self, event: &EventMessage) {
        let at = happening::time(event);
        match happening::subject(event, &HashMap::new()) {
            Some(Subject::Container { id, action, attributes }) => {
                if matches!(action, "create" | "start" | "rename" | "update") {
                    let entry = self.entry(id, || convert::from_event(id, attributes));
                    // A list without one that has started would tell of its death.
                    entry.announced |= action == "start";
                    let life = entry.life;
                    self.questions.push(Question::Container { id: id.to_owned(), life });
                }
                if action == "rename"
                    && let Some(entry) = self.containers.get_mut(id)
                {
                    convert::rename(&mut entry.container, attributes);
                }
                if let Some(what) = happening::what(action, attributes) {
                    let known =
                        self.containers.get(id).map(|entry| self.resolved(&entry.container));
                    let container = known.unwrap_or_else(|| convert::from_event(id, attributes));
                    self.happened(at, container, what);
                }
                if let Some(entry) = self.containers.get_mut(id) {
                    entry.at = at;
                }
                match action {
                    "rename" => self.announce_renamed(id),
                    "die" | "died" => self.stopped(id),
                    "destroy" | "remove" => {
                        self.stopped(id);
                        self.containers.remove(id);
                    }
                    _ => {}
                }
            }
            Some(Subject::Place { network, container, action }) => {
                let connects = action == "connect";
                let what = if connects {
                    self.connected(network, container);
                    What::Connected(network.to_owned())
                } else {
                    What::Disconnected(network.to_owned())
                };
                if let Some(entry) = self.containers.get(container) {
                    let container = self.resolved(&entry.container);
                    self.happened(at, container, what);
                }
                if let Some(entry) = self.containers.get_mut(container) {
                    entry.at = at;
                }
                if !connects {
                    self.disconnected(network, container);
                }
            }
            Some(Subject::Network) => self.questions.push(Question::Networks),
            None => {}
        }
    }

    fn happened(&mut self, at: Option<WallTime>, container: Container, what: What) {
        let before = self.containers.get(&container.id).and_then(|entry| entry.at);
        self.out.push(EngineEvent::Happened(Box::new(Happening { at, before, container, what })));
    }

    /// The answer to [`Question::Container`].
    pub(super) fn inspected(&mut self, life: u64, inspected: &ContainerInspectResponse) {
        let Some(mut container) = convert::from_inspection(inspected) else { return };
        let Some(entry) = self.containers.get_mut(&container.id).filter(|entry| entry.life == life)
        else {
            return;
        };
        let renamed = entry.container.name != container.name;
        if container.pid.is_none() {
            // Not running yet, or not any more: what the networks told of its addresses is better.
            container.attachments = std::mem::take(&mut entry.container.attachments);
        } else {
            entry.announced = true;
        }
        let changed = entry.announced;
        let id = container.id.clone();
        entry.container = container;
        if changed {
            self.announce(&id);
        }
        if renamed {
            self.announce_sharers(&id);
        }
    }

    /// The answer to [`Question::Place`].
    pub(super) fn placed(&mut self, id: &str, life: u64, network: &NetworkInspect) {
        let resource = network.containers.as_ref().and_then(|containers| containers.get(id));
        let (Some(resource), Some(network_id)) = (resource, network.id.as_deref()) else { return };
        let Some(entry) = self.containers.get_mut(id).filter(|entry| entry.life == life) else {
            return;
        };
        let place: Attachment =
            convert::attachment(network.name.as_deref().unwrap_or_default(), network_id, resource);
        if place.addresses.is_empty() && place.mac.is_none() {
            return;
        }
        if entry.container.name.is_empty() {
            entry.container.name = convert::bounded(resource.name.as_deref().unwrap_or_default());
        }
        entry
            .container
            .attachments
            .retain(|other| other.network_id != network_id && !other.addresses.is_empty());
        entry.container.attachments.push(place);
        entry.announced = true;
        self.announce(id);
    }

    fn connected(&mut self, network: &str, container: &str) {
        // One that the list does not know yet may run as well.
        let may_run = self.stopped_meanwhile.is_some()
            || self.containers.get(container).is_some_and(|entry| entry.container.pid.is_some());
        let life = self.entry(container, || convert::stub(container, "")).life;
        if !self.networks.contains(network) {
            self.questions.push(Question::Networks);
        }
        let id = container.to_owned();
        self.questions.push(Question::Place {
            network: network.to_owned(),
            container: id.clone(),
            life,
        });
        if may_run {
            self.questions.push(Question::Container { id, life });
        }
    }

    fn announce_renamed(&mut self, id: &str) {
        if self.containers.get(id).is_some_and(|entry| entry.announced) {
            self.announce(id);
        }
        self.announce_sharers(id);
    }

    fn disconnected(&mut self, network: &str, id: &str) {
        let Some(entry) = self.containers.get_mut(id).filter(|entry| entry.announced) else {
            return;
        };
        if entry.container.pid.is_none() {
            let places = &mut entry.container.attachments;
            places.retain(|place| place.network_id != network && place.network != network);
            if places.is_empty() {
                // A start that has failed ends like this: nothing tells of its death.
                self.stopped(id);
            } else {
                self.announce(id);
            }
        }
        // It may run all the same.
        if let Some(life) = self.containers.get(id).map(|entry| entry.life) {
            self.questions.push(Question::Container { id: id.to_owned(), life });
        }
    }

    fn stopped(&mut self, id: &str) {
        if let Some(stopped) = &mut self.stopped_meanwhile {
            stopped.insert(id.to_owned());
        }
        self.lives += 1;
        let Some(entry) = self.containers.get_mut(id) else { return };
        entry.life = self.lives;
        entry.container.pid = None;
        entry.container.attachments.clear();
        if std::mem::take(&mut entry.announced) {
            self.out.push(EngineEvent::Gone { id: id.to_owned() });
        }
    }

    fn entry(&mut self, id: &str, make: impl FnOnce() -> Container) -> &mut Entry {
        let lives = &mut self.lives;
        self.containers.entry(id.to_owned()).or_insert_with(|| {
            *lives += 1;
            Entry { container: make(), announced: false, life: *lives, at: None }
        })
    }

    fn announce(&mut self, id: &str) {
        if let Some(entry) = self.containers.get(id) {
            let container = self.resolved(&entry.container);
            self.out.push(EngineEvent::Container(container));
        }
    }

    fn announce_sharers(&mut self, id: &str) {
        let entries = self.containers.values();
        let sharers: Vec<_> = entries
            .filter(|entry| entry.announced && entry.container.shares_with.as_deref() == Some(id))
            .map(|entry| entry.container.id.clone())
            .collect();
        for sharer in sharers {
            self.announce(&sharer);
        }
    }

    /// With the other's name in `shares_with` instead of its identifier.
    fn resolved(&self, container: &Container) -> Container {
        let shares_with = container.shares_with.as_ref().map(|id| match self.containers.get(id) {
            Some(entry) => entry.container.name.clone(),
            None => id.chars().take(12).collect(),
        });
        Container { shares_with, ..container.clone() }
    }
}
