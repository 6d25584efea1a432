//! What has waited for veths and addresses, and is told.

use std::sync::Arc;

use super::{Chronicle, Wait, Waiting};
use crate::{
    identity::Directory,
    model::{Appearance, Attachment, Change, Container, Instant, LifeEvent, OutOfSight},
};

impl Chronicle {
    /// Tells what has what it waited for, or has waited long enough.
    pub fn settle(&mut self, directory: &Directory, now: Instant) -> Vec<LifeEvent> {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|one| {
            let is_due = now >= one.until || Self::is_complete(one, directory);
            if is_due {
                self.complete(one, directory);
            }
            !is_due
        });
        self.waiting = waiting;
        self.refresh(directory);
        std::mem::take(&mut self.events)
    }

    /// What is still to be said of a container before its next event.
    pub(super) fn finish_waiting(&mut self, id: &str, directory: &Directory) {
        let waiting = std::mem::take(&mut self.waiting);
        let (its, others): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|one| one.id == id);
        self.waiting = others;
        for one in its {
            self.complete(&one, directory);
        }
    }

    fn is_complete(one: &Waiting, directory: &Directory) -> bool {
        let Some(container) = directory.container(&one.id) else { return false };
        let is_placed = match &one.wait {
            Wait::Listed | Wait::Started => container.pid.is_some(),
            Wait::Connected(network) => place(container, network).is_some(),
        };
        is_placed && {
            let seen = directory.appearance(Arc::clone(container));
            seen.veths.len() >= directory.expected_veths(container)
        }
    }

    fn complete(&mut self, one: &Waiting, directory: &Directory) {
        let Some(life) = self.lives.get_mut(&one.id) else { return };
        let container = directory.container(&one.id).unwrap_or(&life.last.container);
        let mut now = directory.appearance(Arc::clone(container));
        if now.veths.is_empty() {
            // Its veth may have gone already; but not one of an earlier life.
            let earlier = life.earlier.as_ref().map_or(&[][..], |earlier| &earlier.veths);
            now.veths = directory.departed_veths(&now.container);
            now.veths.retain(|veth| !earlier.contains(veth));
        }
        life.last = now.clone();
        let earlier = life.earlier.clone();
        let sight = directory.out_of_sight(&now.container);
        let untold: Vec<_> =
            sight.into_iter().filter(|one| life.told.insert(one.clone())).collect();
        match &one.wait {
            Wait::Listed => {}
            Wait::Started => {
                let (change, before) = self.beginning(earlier, &now);
                let mut event = LifeEvent::new(one.time, change, now.clone());
                event.before = before;
                event.replicas = self.replicas(&now.container);
                self.events.push(event);
            }
            Wait::Connected(network) => {
                let mut event = LifeEvent::new(one.time, Change::Connected, now.clone());
                let name = place(&now.container, network).map(|place| place.network.as_str());
                let called = || directory.network_called(network);
                event.network = name.map(Arc::from).or_else(called);
                event.network = event.network.or_else(|| Some(network.as_str().into()));
                self.events.push(event);
            }
        }
        for OutOfSight { reason, network } in untold {
            let event = LifeEvent::new(one.time, Change::OutOfSight, now.clone());
            self.events.push(LifeEvent { network, unseen: Some(reason), ..event });
        }
    }

    /// How a life begins: again, in the place of another, or for the first time.
    fn beginning(
        &self,
        earlier: Option<Appearance>,
        now: &Appearance,
    ) -> (Change, Option<Appearance>) {
        if earlier.is_some() {
            return (Change::Restarted, earlier);
        }
        let Container { id, name, .. } = &*now.container;
        let is_former = |gone: &&Appearance| {
            gone.container.id == *id || !name.is_empty() && gone.container.name == *name
        };
        match self.gone.iter().rev().find(is_former) {
            Some(former) if former.container.id == *id => (Change::Restarted, Some(former.clone())),
            Some(former) => (Change::Recreated, Some(former.clone())),
            None => (Change::Started, None),
        }
    }

    /// Keeps what is known of running containers: when they die, the directory may have forgotten it.
    fn refresh(&mut self, directory: &Directory) {
        for (id, life) in self.lives.iter_mut().filter(|(_, life)| life.runs) {
            if self.waiting.iter().any(|one| one.id == *id) {
                continue;
            }
            let Some(container) = directory.container(id) else { continue };
            let last = &life.last.container;
            // A new name is for the line that tells of it.
            if !Arc::ptr_eq(container, last)
                && container.pid.is_some()
                && container.name == last.name
            {
                life.last = directory.appearance(Arc::clone(container));
            }
        }
    }
}

/// The container's place in a network that is known by identifier or name.
fn place<'a>(container: &'a Container, network: &str) -> Option<&'a Attachment> {
    container
        .attachments
        .iter()
        .find(|place| place.network_id == network || place.network == network)
}
