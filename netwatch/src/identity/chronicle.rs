//! What happens to containers, told with all that a reader wants to know of it. Pure: happenings, the directory and the
//! time are passed in.
//!
//! An engine says that a container has started before it says, if asked, which addresses it has, and the kernel shows its
//! veth at a time of its own: what needs them waits for at most [`PATIENCE`].

mod telling;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::{Directory, Happening, What};
use crate::model::{Appearance, Change, Container, Instant, LifeEvent, OutOfSight};

/// So long a line waits for addresses and veths.
const PATIENCE: Duration = Duration::from_secs(1);
/// Containers that have gone, kept for the sake of those that come under their names.
const MOST_GONE: usize = 1_024;

#[derive(Debug)]
struct Life {
    last: Appearance,
    /// What it was when it ran before.
    earlier: Option<Appearance>,
    runs: bool,
    /// Networks that it has left: the engine may say so twice.
    left: HashSet<String>,
    /// Out-of-sight lines that were told of this life.
    told: HashSet<OutOfSight>,
}

#[derive(Debug)]
enum Wait {
    /// For the veths of one that was running when we came.
    Listed,
    /// For the veths of one that begins a life.
    Started,
    /// For the address in a network.
    Connected(String),
}

#[derive(Debug)]
struct Waiting {
    id: String,
    time: Instant,
    until: Instant,
    wait: Wait,
}

/// The lives of containers.
#[derive(Debug, Default)]
pub struct Chronicle {
    lives: HashMap<String, Life>,
    /// The last one gone comes last.
    gone: VecDeque<Appearance>,
    waiting: Vec<Waiting>,
    /// The first list has come: what is new from then on has started.
    listed: bool,
    events: Vec<LifeEvent>,
}

impl Chronicle {
    /// Takes in the list of all running containers, after the directory has. What has changed since the last list was not
    /// told by events.
    pub fn list(&mut self, containers: &[Container], now: Instant) {
        let running: HashSet<_> =
            containers.iter().map(|container| container.id.as_str()).collect();
        let is_missing = |(id, life): (&String, &Life)| {
            (!running.contains(id.as_str())).then(|| (life.runs, id.clone()))
        };
        let mut vanished: Vec<_> = self.lives.iter().filter_map(is_missing).collect();
        // Those that had ended first: of two under one name, the other one is the latest.
        vanished.sort_unstable();
        for (_, id) in vanished {
            self.died(&id, None, now);
            self.removed(&id);
        }
        for container in containers {
            let known = self.lives.get(&container.id).filter(|life| life.runs);
            let is_same = known.is_some_and(|life| {
                let (last, listed) = (life.last.container.pid, container.pid);
                last.is_none() || listed.is_none() || last == listed
            });
            if is_same {
                self.renamed(container, now);
                continue;
            }
            if known.is_some() {
                self.died(&container.id, None, now);
            }
            let wait = if self.listed { Wait::Started } else { Wait::Listed };
            self.wait(&container.id, now, now, wait);
            self.begin(container.clone());
        }
        self.listed = true;
    }

    /// Takes in what happened at a time, before the directory takes in what follows from it.
    pub fn happened(
        &mut self,
        happening: &Happening,
        directory: &Directory,
        time: Instant,
        now: Instant,
    ) {
        let Happening { container, what, .. } = happening;
        let id = container.id.as_str();
        match what {
            What::Started => {
                // A list that was made meanwhile may have told of it already.
                if self.lives.get(id).is_some_and(|life| life.runs) {
                    return;
                }
                self.wait(id, time, now, Wait::Started);
                self.begin(container.clone());
            }
            What::Died(exit) => {
                self.finish_waiting(id, directory);
                self.died(id, *exit, time);
            }
            What::Removed => {
                self.finish_waiting(id, directory);
                self.died(id, None, time);
                self.removed(id);
            }
            What::Renamed => self.renamed(container, time),
            What::Paused => self.tell(id, Change::Paused, time),
            What::Unpaused => self.tell(id, Change::Unpaused, time),
            What::Connected(network) if self.runs(id) => {
                if let Some(life) = self.lives.get_mut(id) {
                    life.left.remove(network);
                }
                self.wait(id, time, now, Wait::Connected(network.clone()));
            }
            What::Disconnected(network) if self.runs(id) => {
                self.finish_waiting(id, directory);
                let Some(life) = self.lives.get_mut(id) else { return };
                if !life.left.insert(network.clone()) {
                    return;
                }
                let mut event = LifeEvent::new(time, Change::Disconnected, life.last.clone());
                event.network =
                    directory.network_called(network).or_else(|| Some(network.as_str().into()));
                self.events.push(event);
            }
            What::Connected(_) | What::Disconnected(_) => {}
        }
    }

    fn runs(&self, id: &str) -> bool {
        // What comes before the start belongs to it.
        let starts =
            self.waiting.iter().any(|one| one.id == id && matches!(one.wait, Wait::Started));
        !starts && self.lives.get(id).is_some_and(|life| life.runs)
    }

    fn wait(&mut self, id: &str, time: Instant, now: Instant, wait: Wait) {
        let until = now.after(PATIENCE);
        self.waiting.push(Waiting { id: id.to_owned(), time, until, wait });
    }

    fn begin(&mut self, container: Container) {
        let id = container.id.clone();
        let earlier = self.lives.remove(&id).map(|life| life.last);
        let last = Appearance { container: Arc::new(container), veths: Vec::new() };
        self.lives.insert(
            id,
            Life { last, earlier, runs: true, left: HashSet::new(), told: HashSet::new() },
        );
    }

    fn died(&mut self, id: &str, exit: Option<i64>, time: Instant) {
        let Some(life) = self.lives.get_mut(id).filter(|life| life.runs) else { return };
        life.runs = false;
        let mut event = LifeEvent::new(time, Change::Died, life.last.clone());
        event.exit = exit;
        event.replicas = self.replicas(&event.now.container);
        self.events.push(event);
    }

    fn removed(&mut self, id: &str) {
        if let Some(life) = self.lives.remove(id) {
            self.gone.push_back(life.last);
            if self.gone.len() > MOST_GONE {
                self.gone.pop_front();
            }
        }
    }

    fn renamed(&mut self, container: &Container, time: Instant) {
        let Some(life) = self.lives.get_mut(&container.id) else { return };
        if life.last.container.name == container.name {
            return;
        }
        let named = Container { name: container.name.clone(), ..(*life.last.container).clone() };
        let now = Appearance { container: Arc::new(named), veths: life.last.veths.clone() };
        let before = std::mem::replace(&mut life.last, now.clone());
        if life.runs {
            let event = LifeEvent::new(time, Change::Renamed, now);
            self.events.push(LifeEvent { before: Some(before), ..event });
        }
    }

    fn tell(&mut self, id: &str, change: Change, time: Instant) {
        if let Some(life) = self.lives.get(id).filter(|life| life.runs) {
            self.events.push(LifeEvent::new(time, change, life.last.clone()));
        }
    }

    /// Running containers of the same Compose service.
    fn replicas(&self, container: &Container) -> Option<usize> {
        container.service.as_ref()?;
        let is_same = |life: &&Life| {
            let other = &life.last.container;
            life.runs && other.project == container.project && other.service == container.service
        };
        Some(self.lives.values().filter(is_same).count())
    }
}
