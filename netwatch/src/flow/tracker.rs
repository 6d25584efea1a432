//! All conversations that are going on.

use std::{collections::HashSet, sync::Arc};

use super::{
    conversation::{Conversation, Stage},
    edges::{EdgeId, Edges},
    lifecycle::{Lifecycle, Limits, Step},
    names::{Naming, Unnamed},
    report::Report,
    table::{Place, Table},
    translations::Translations,
};
use crate::model::{
    DropPlace, DroppedPacket, EndReason, FlowKey, FlowPhase, FlowTotals, Instant, Leg, Observation,
    Tally, Translation,
};

/// All conversations that are going on.
///
/// A tick looks only at those that something can have become of, so that it costs what happens and not what there is.
#[derive(Debug)]
pub struct Tracker {
    pub(super) table: Table,
    pub(super) translations: Translations,
    pub(super) lifecycle: Lifecycle,
    pub(super) next_id: u64,
    pub(super) counted: Tally,
    pub(super) over_limit: Tally,
    /// Conversations whose ports were taken up by another one since the last tick.
    pub(super) replaced: Vec<Conversation>,
}

impl Tracker {
    /// An empty tracker.
    pub fn new(limits: Limits, edges: Edges) -> Self {
        Self {
            table: Table::with_capacity(limits.max_flows),
            translations: Translations::default(),
            lifecycle: Lifecycle::new(limits, edges),
            next_id: 1,
            counted: Tally::ZERO,
            over_limit: Tally::ZERO,
            replaced: Vec::new(),
        }
    }

    /// Takes up what one interface has seen of a flow. Nearly always that goes on under these addresses, and one look finds it.
    ///
    /// Where nothing is known of them, `hear` comes first: it may tell of a translation, by which the flow is known already.
    pub fn observe(&mut self, observation: &Observation, hear: impl FnOnce(&mut Self)) {
        let key = FlowKey::of(observation);
        let known = self.table.find(&key);
        let flow = known.and_then(|place| self.table.get(place));
        if flow.is_some_and(|flow| !flow.is_over_before(observation)) {
            return self.take_up(known, key, observation, false);
        }
        if known.is_none() && self.translations.find(&key).is_none() {
            hear(self);
        }
        match self.other_leg(&key) {
            Some((place, leg, translation)) => {
                let end = |socket| leg.end(&translation, socket);
                let (local, remote) = (end(observation.local), end(observation.remote));
                let observation = Observation { local, remote, ..*observation };
                self.take_up(Some(place), FlowKey::of(&observation), &observation, true);
            }
            None => self.take_up(known, key, observation, false),
        }
    }

    /// The conversation that has another leg of a translated connection, and that leg.
    fn other_leg(&self, key: &FlowKey) -> Option<(Place, Leg, Arc<Translation>)> {
        let translation = self.translations.find(key)?;
        let mut others =
            translation.legs().zip(translation.keys()).filter(|(_, other)| other != key);
        let (leg, place) = others.find_map(|(leg, other)| Some((leg, self.table.find(&other)?)))?;
        Some((place, leg, Arc::clone(translation)))
    }

    fn take_up(
        &mut self,
        known: Option<Place>,
        key: FlowKey,
        observation: &Observation,
        is_other_leg: bool,
    ) {
        let new = observation.ingress.new + observation.egress.new;
        // Without a packet: an error message about a flow that this interface and CPU have none of.
        let place = if new.is_zero() { known } else { self.place_for(known, key, observation) };
        let Some(place) = place else {
            if !observation.is_inner {
                self.over_limit += new;
            }
            return;
        };
        // What is inside a tunnel has been counted with the tunnel.
        if !observation.is_inner {
            self.counted += new;
        }
        let Some(flow) = self.table.get_mut(place) else { return };
        let before = flow.counted();
        if is_other_leg {
            flow.observe_other_leg(observation);
        } else {
            flow.observe(observation);
        }
        self.lifecycle.grow(flow, before);
        let deadline = self.lifecycle.deadline(flow);
        if deadline < flow.deadline {
            self.table.set_deadline(place, deadline);
        }
    }

    /// Where the conversation is that an observation belongs to; `None` if there is no room for another one.
    fn place_for(
        &mut self,
        known: Option<Place>,
        key: FlowKey,
        observation: &Observation,
    ) -> Option<Place> {
        if let Some(place) = known {
            let flow = self.table.get_mut(place)?;
            if flow.is_over_before(observation) {
                let next = self.begin(key, observation);
                self.replaced.extend(self.table.replace(place, next));
            }
            return Some(place);
        }
        if self.table.len() >= self.lifecycle.limits.max_flows {
            return None;
        }
        let next = self.begin(key, observation);
        Some(self.table.insert(next))
    }

    fn begin(&mut self, key: FlowKey, observation: &Observation) -> Conversation {
        self.next_id += 1;
        let mut flow = Conversation::new(self.next_id - 1, key, observation);
        if let Some(known) = self.translations.find(&key) {
            flow.translate(known);
        }
        flow
    }

    /// A connection is passed on in this way from now on, or was so far without our knowing. Where several of its legs are
    /// going on already, each stays a flow of its own.
    pub fn translate(&mut self, translation: Translation) {
        let is_known = |key| self.translations.find(&key).is_some_and(|it| **it == translation);
        if translation.keys().all(is_known) {
            return;
        }
        let mut known = translation.keys().filter_map(|key| self.going_on(&key));
        let (first, another) = (known.next(), known.next());
        if another.is_some() {
            return;
        }
        let translation = Arc::new(translation);
        if let Some(place) = first
            && let Some(flow) = self.table.get_mut(place)
            && flow.translate(&translation)
        {
            self.table.set_deadline(place, Instant::default());
        }
        self.translations.insert(&translation);
    }

    /// The kernel passes packets between these two on as they are.
    pub fn pass_on_as_is(&mut self, key: &FlowKey) {
        self.translations.remove(key);
    }

    fn going_on(&self, key: &FlowKey) -> Option<Place> {
        let place = self.table.find(key)?;
        let flow = self.table.get(place)?;
        (!matches!(flow.stage, Stage::Ended(_))).then_some(place)
    }

    /// Takes up that a packet of a flow was dropped. One that passed no hook has no flow.
    pub fn observe_drop(&mut self, packet: &DroppedPacket, place: &DropPlace) {
        let key = FlowKey::new(packet.source, packet.destination, packet.protocol);
        if let Some(flow) = self.table.find(&key).and_then(|known| self.table.get_mut(known)) {
            flow.observe_drop(packet, packet.source, place);
        } else if let Some((known, leg, translation)) = self.other_leg(&key)
            && let Some(flow) = self.table.get_mut(known)
        {
            flow.observe_drop(packet, leg.end(&translation, packet.source), place);
        }
    }

    /// Reports what has started, gone on or ended by now.
    pub fn tick(
        &mut self,
        now: Instant,
        name: &mut dyn FnMut(&Unnamed<'_>) -> Naming,
        report: &mut dyn FnMut(&Report<'_>),
    ) {
        let step = &mut Step { now, name, report };
        for flow in std::mem::take(&mut self.replaced) {
            self.lifecycle.finish(flow, EndReason::Idle, step);
        }
        for place in self.table.due(now) {
            let Some(flow) = self.table.get_mut(place) else { continue };
            self.lifecycle.advance(flow, step);
            if Lifecycle::is_over(flow, now) {
                if let Some(flow) = self.table.remove(place) {
                    self.lifecycle.forget(flow, step);
                }
            } else {
                let deadline = self.lifecycle.next_deadline(flow, now);
                self.table.set_deadline(place, deadline);
            }
        }
    }

    /// Ends what one end has sent into an interface that is gone: whoever gets its address next is somebody else.
    pub fn interface_gone(
        &mut self,
        ifindex: u32,
        now: Instant,
        name: &mut dyn FnMut(&Unnamed<'_>) -> Naming,
        report: &mut dyn FnMut(&Report<'_>),
    ) {
        let step = &mut Step { now, name, report };
        self.finish_those(|flow| flow.lives_behind(ifindex), EndReason::Gone, step);
    }

    /// Lets go of the edges of ends that have been gone for long, unless a conversation goes on there.
    pub fn forget(&mut self, names: &HashSet<Arc<str>>) {
        let held = self.held_edges();
        self.lifecycle.edges.forget(names, &held);
    }

    /// Gives the names of small edges to larger ones that have none, unless a conversation goes on there.
    pub fn name_the_largest(&mut self, now: Instant) {
        if self.lifecycle.edges.is_crowded() {
            let held = self.held_edges();
            self.lifecycle.edges.change(now, &held);
        }
    }

    fn held_edges(&self) -> HashSet<EdgeId> {
        let there = self.table.iter().map(|(_, flow)| flow);
        there.chain(&self.replaced).filter_map(|flow| flow.edge).collect()
    }

    /// Ends everything that is open.
    pub fn finish(
        &mut self,
        now: Instant,
        name: &mut dyn FnMut(&Unnamed<'_>) -> Naming,
        report: &mut dyn FnMut(&Report<'_>),
    ) {
        self.tick(now, name, report);
        let step = &mut Step { now, name, report };
        self.finish_those(|_| true, EndReason::Shutdown, step);
    }

    /// Ends and forgets some, for the reason that their packets give, or else this one.
    fn finish_those(
        &mut self,
        which: impl Fn(&Conversation) -> bool,
        otherwise: EndReason,
        step: &mut Step<'_>,
    ) {
        let places = self.table.iter().filter(|(_, flow)| which(flow)).map(|(place, _)| place);
        for place in places.collect::<Vec<_>>() {
            if let Some(flow) = self.table.remove(place) {
                self.lifecycle.finish(flow, otherwise, step);
            }
        }
    }

    /// Those that have started and go on, as they are now.
    pub fn running(&self) -> impl Iterator<Item = Report<'_>> {
        let open = |flow: &&Conversation| matches!(flow.stage, Stage::Open);
        self.table
            .iter()
            .map(|(_, flow)| flow)
            .filter(open)
            .filter_map(|flow| Report::new(flow, FlowPhase::Update))
    }

    /// Numbers of flows, and all packets that are counted in one.
    pub fn totals(&self) -> FlowTotals {
        let Lifecycle { started, ended, lingering, .. } = &self.lifecycle;
        let open = self.table.len() + self.replaced.len() - lingering;
        let ended =
            EndReason::ALL.iter().map(|reason| (*reason, ended.get(reason).copied().unwrap_or(0)));
        FlowTotals {
            active: open as u64,
            started: *started,
            ended: ended.collect(),
            counted: self.counted,
        }
    }

    /// Packets that are in no flow because too many were tracked.
    pub fn over_limit(&self) -> Tally {
        self.over_limit
    }

    /// Who talks to whom.
    pub fn edges(&self) -> &Edges {
        &self.lifecycle.edges
    }
}

#[cfg(test)]
impl Tracker {
    /// Takes up an observation, with nothing to be heard.
    pub(super) fn see(&mut self, observation: &Observation) {
        self.observe(observation, |_| ());
    }
}

#[cfg(test)]
mod reused;

#[cfg(test)]
mod translated;

#[cfg(test)]
#[path = "tracker_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "tracker_properties.rs"]
mod properties;
