//! All conversations that are going on.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use super::{
    conversation::{Conversation, Stage},
    edges::Edges,
};
use crate::model::{
    EndReason, Endpoint, FlowEvent, FlowKey, FlowPhase, FlowTotals, Instant, Observation, Protocol,
    Seen, Socket, Tally,
};

/// How long conversations live, and how many.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Without a packet for this long, a conversation is over.
    pub idle: Duration,
    /// How often one that goes on is reported.
    pub active: Duration,
    /// Conversations tracked at the same time.
    pub max_flows: usize,
}

/// An established TCP connection may be silent this many idle timeouts.
const TCP_IDLE_FACTOR: u32 = 20;
/// An echo is over when no other has followed for this long.
const ECHO_IDLE: Duration = Duration::from_secs(5);
/// The start of a flow waits at most this long for its names.
const NAMING_PATIENCE: Duration = Duration::from_millis(200);
/// The counts of a flow wait this long for its names before they go to an edge without.
const EDGE_PATIENCE: Duration = Duration::from_secs(3);
/// After the last FIN or RST, what other hooks and CPUs still have comes within this time.
const END_GRACE: Duration = Duration::from_millis(300);
/// So long an ended connection takes up stray packets.
const LINGER: Duration = Duration::from_secs(5);

/// A conversation that asks for its names.
#[derive(Debug)]
pub struct Unnamed<'a> {
    /// Who began.
    pub client: Socket,
    /// The other one.
    pub server: Socket,
    /// Where its packets were seen.
    pub seen: &'a [Seen],
}

/// The names of both ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Who began.
    pub client: Endpoint,
    /// The other one.
    pub server: Endpoint,
    /// The network they talk over.
    pub network: Option<Arc<str>>,
}

/// The answer to [`Unnamed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Naming {
    /// These names will not change.
    Final(Names),
    /// The best so far: better ones may come.
    Provisional(Names),
}

/// All conversations that are going on.
#[derive(Debug)]
pub struct Tracker {
    limits: Limits,
    flows: HashMap<FlowKey, Conversation>,
    edges: Edges,
    next_id: u64,
    started: u64,
    ended: HashMap<EndReason, u64>,
    counted: Tally,
    over_limit: Tally,
    /// Conversations whose ports were taken up by another one since the last tick.
    replaced: Vec<Conversation>,
}

impl Tracker {
    /// An empty tracker.
    pub fn new(limits: Limits, edges: Edges) -> Self {
        Self {
            limits,
            flows: HashMap::new(),
            edges,
            next_id: 1,
            started: 0,
            ended: HashMap::new(),
            counted: Tally::ZERO,
            over_limit: Tally::ZERO,
            replaced: Vec::new(),
        }
    }

    /// Takes up what one interface has seen of a flow.
    pub fn observe(&mut self, observation: &Observation) {
        let new = observation.ingress.new + observation.egress.new;
        let key = FlowKey::new(observation.local, observation.remote, observation.protocol);
        if new.is_zero() {
            // An error message about a flow that this interface and CPU have no packet of.
            if let Some(conversation) = self.flows.get_mut(&key) {
                conversation.observe(observation);
            }
            return;
        }
        let full = self.flows.len() >= self.limits.max_flows;
        let conversation = match self.flows.entry(key) {
            Entry::Occupied(entry) => {
                let conversation = entry.into_mut();
                if conversation.is_over_before(observation) {
                    let next = Conversation::new(self.next_id, key, observation);
                    self.next_id += 1;
                    self.replaced.push(std::mem::replace(conversation, next));
                }
                conversation
            }
            Entry::Vacant(_) if full => {
                if !observation.is_inner {
                    self.over_limit += new;
                }
                return;
            }
            Entry::Vacant(entry) => {
                self.next_id += 1;
                entry.insert(Conversation::new(self.next_id - 1, key, observation))
            }
        };
        // What is inside a tunnel has been counted with the tunnel.
        if !observation.is_inner {
            self.counted += new;
        }
        conversation.observe(observation);
    }

    /// Reports what has started, gone on or ended by now.
    pub fn tick(
        &mut self,
        now: Instant,
        name: &mut dyn FnMut(&Unnamed<'_>) -> Naming,
        report: &mut dyn FnMut(FlowEvent),
    ) {
        for mut flow in std::mem::take(&mut self.replaced) {
            let reason = flow.tcp_end().unwrap_or(EndReason::Idle);
            self.end(&mut flow, now, reason, name, report);
            self.forget(&flow, report);
        }
        let mut flows = std::mem::take(&mut self.flows);
        flows.retain(|_, flow| {
            self.advance(flow, now, name, report);
            let gone = match flow.stage {
                // Only a connection that said so is over; what was merely silent may come again as another flow.
                Stage::Ended { at, .. } => flow.tcp_end().is_none() || now.since(at) >= LINGER,
                Stage::New | Stage::Open => false,
            };
            if gone {
                self.forget(flow, report);
            }
            !gone
        });
        self.flows = flows;
    }

    /// Ends what one end has sent into an interface that is gone: whoever gets its address next is somebody else.
    pub fn interface_gone(
        &mut self,
        ifindex: u32,
        now: Instant,
        name: &mut dyn FnMut(&Unnamed<'_>) -> Naming,
        report: &mut dyn FnMut(FlowEvent),
    ) {
        let gone = self.flows.extract_if(|_, flow| flow.lives_behind(ifindex));
        for mut flow in gone.map(|(_, flow)| flow).collect::<Vec<_>>() {
            let reason = flow.tcp_end().unwrap_or(EndReason::Gone);
            self.end(&mut flow, now, reason, name, report);
            self.forget(&flow, report);
        }
    }

    /// Ends everything that is open.
    pub fn finish(
        &mut self,
        now: Instant,
        name: &mut dyn FnMut(&Unnamed<'_>) -> Naming,
        report: &mut dyn FnMut(FlowEvent),
    ) {
        self.tick(now, name, report);
        for (_, mut flow) in std::mem::take(&mut self.flows) {
            let reason = flow.tcp_end().unwrap_or(EndReason::Shutdown);
            self.end(&mut flow, now, reason, name, report);
            self.forget(&flow, report);
        }
    }

    /// Numbers of flows, and all packets that are counted in one.
    pub fn totals(&self) -> FlowTotals {
        let open =
            self.flows.values().filter(|flow| !matches!(flow.stage, Stage::Ended { .. })).count();
        let ended = EndReason::ALL
            .iter()
            .map(|reason| (*reason, self.ended.get(reason).copied().unwrap_or(0)));
        FlowTotals {
            active: open as u64,
            started: self.started,
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
        &self.edges
    }

    /// The next step of one conversation.
    fn advance(
        &mut self,
        flow: &mut Conversation,
        now: Instant,
        name: &mut dyn FnMut(&Unnamed<'_>) -> Naming,
        report: &mut dyn FnMut(FlowEvent),
    ) {
        let age = now.since(flow.first);
        resolve(flow, name);
        if flow.stage == Stage::New && (!flow.provisional || age >= NAMING_PATIENCE) {
            self.start(flow, report);
        }
        self.attribute(flow, !flow.provisional || age >= EDGE_PATIENCE);
        if flow.stage == Stage::Open {
            let quiet = now.since(flow.last);
            if let Some(reason) = flow.tcp_end().filter(|_| quiet >= END_GRACE) {
                self.end(flow, now, reason, name, report);
            } else if quiet >= self.idle_timeout(flow) {
                self.end(flow, now, flow.idle_end(), name, report);
            } else if now.since(flow.reported) >= self.limits.active && flow.last > flow.reported {
                flow.reported = now;
                flow.event(FlowPhase::Update).into_iter().for_each(report);
            }
        }
    }

    fn idle_timeout(&self, flow: &Conversation) -> Duration {
        if flow.is_established() {
            return self.limits.idle * TCP_IDLE_FACTOR;
        }
        match flow.key.protocol {
            Protocol::ICMP | Protocol::ICMPV6 => self.limits.idle.min(ECHO_IDLE),
            _ => self.limits.idle,
        }
    }

    fn start(&mut self, flow: &mut Conversation, report: &mut dyn FnMut(FlowEvent)) {
        flow.fix_direction();
        flow.stage = Stage::Open;
        self.started += 1;
        flow.event(FlowPhase::Start).into_iter().for_each(report);
    }

    /// Reports the end, and the start before it if nobody has heard of the flow yet.
    fn end(
        &mut self,
        flow: &mut Conversation,
        now: Instant,
        reason: EndReason,
        name: &mut dyn FnMut(&Unnamed<'_>) -> Naming,
        report: &mut dyn FnMut(FlowEvent),
    ) {
        resolve(flow, name);
        if flow.stage == Stage::New {
            self.start(flow, report);
        }
        if flow.stage == Stage::Open {
            let (sent, received) = flow.counted();
            flow.stage = Stage::Ended { at: now, sent, received };
            *self.ended.entry(reason).or_default() += 1;
            flow.event(FlowPhase::End(reason)).into_iter().for_each(report);
        }
    }

    /// The last of a conversation: what came after its end is told, everything is in an edge.
    fn forget(&mut self, flow: &Conversation, report: &mut dyn FnMut(FlowEvent)) {
        let Stage::Ended { sent, received, .. } = flow.stage else { return };
        let Some(record) = flow.record() else { return };
        let (late_sent, late_received) = (record.sent.since(sent), record.received.since(received));
        let (done_sent, done_received) = flow.attributed;
        self.edges.add(
            &record,
            record.sent.since(done_sent),
            record.received.since(done_received),
            !flow.connection_counted,
        );
        if !late_sent.is_zero() || !late_received.is_zero() {
            let mut event = FlowEvent {
                time: record.last,
                phase: FlowPhase::End(EndReason::Late),
                flow: record,
            };
            event.flow.sent = late_sent;
            event.flow.received = late_received;
            report(event);
        }
    }

    /// Adds what is new to the edge between the two names, once they are known.
    fn attribute(&mut self, flow: &mut Conversation, named: bool) {
        if !named || flow.stage == Stage::New {
            return;
        }
        let (sent, received) = flow.counted();
        if (sent, received) == flow.attributed {
            return;
        }
        let Some(record) = flow.record() else { return };
        let (done_sent, done_received) = flow.attributed;
        self.edges.add(
            &record,
            sent.since(done_sent),
            received.since(done_received),
            !flow.connection_counted,
        );
        flow.attributed = (sent, received);
        flow.connection_counted = true;
    }
}

/// Asks for names as long as they may become better. Those of a flow that has ended are kept.
fn resolve(flow: &mut Conversation, name: &mut dyn FnMut(&Unnamed<'_>) -> Naming) {
    if !flow.provisional {
        return;
    }
    let (client, server) = flow.client_and_server();
    let seen = flow.seen();
    let (names, provisional) = match name(&Unnamed { client, server, seen: &seen }) {
        Naming::Final(names) => (names, false),
        Naming::Provisional(names) => (names, true),
    };
    flow.names = Some(names);
    // Until the start is reported the direction may turn, and the names with it.
    flow.provisional = provisional;
    if !provisional {
        flow.fix_direction();
    }
}

#[cfg(test)]
#[path = "tracker_tests.rs"]
mod tests;
