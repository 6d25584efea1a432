//! What becomes of a conversation: it starts, goes on, ends, and is forgotten.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    conversation::{Conversation, Ended, Stage},
    edges::Edges,
    names::{NamesInUse, Naming, Unnamed},
    report::Report,
};
use crate::model::{EndReason, FlowPhase, Instant, Protocol, Tally};

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
/// The counts of a flow wait this long for its names before they go to an edge without. From then on it asks for better
/// ones as often as this.
const EDGE_PATIENCE: Duration = Duration::from_secs(3);
/// After the last FIN or RST, what other hooks and CPUs still have comes within this time.
const END_GRACE: Duration = Duration::from_millis(300);
/// So long an ended connection takes up stray packets.
pub(super) const LINGER: Duration = Duration::from_secs(5);
/// The same where ended ones take this part of the room: in a storm of short connections they must not displace new ones.
const SHORT_LINGER: Duration = Duration::from_secs(1);
const CROWD: usize = 4;
/// A deadline that has come by any reading.
const AT_ONCE: Instant = Instant(0);

/// The time, who gives names, and who is told.
pub(super) struct Step<'a> {
    pub(super) now: Instant,
    pub(super) name: &'a mut dyn FnMut(&Unnamed<'_>) -> Naming,
    pub(super) report: &'a mut dyn FnMut(&Report<'_>),
}

impl Step<'_> {
    fn report(&mut self, flow: &Conversation, phase: FlowPhase) {
        if let Some(report) = Report::new(flow, phase) {
            (self.report)(&report);
        }
    }
}

/// Takes conversations from one stage to the next, and keeps the sums of all.
#[derive(Debug)]
pub(super) struct Lifecycle {
    pub(super) limits: Limits,
    pub(super) edges: Edges,
    names: NamesInUse,
    pub(super) started: u64,
    pub(super) ended: HashMap<EndReason, u64>,
    /// Conversations that have ended and are not forgotten yet.
    pub(super) lingering: usize,
}

impl Lifecycle {
    pub(super) fn new(limits: Limits, edges: Edges) -> Self {
        Self {
            limits,
            edges,
            names: NamesInUse::default(),
            started: 0,
            ended: HashMap::new(),
            lingering: 0,
        }
    }

    /// The next step of one conversation.
    pub(super) fn advance(&mut self, flow: &mut Conversation, step: &mut Step<'_>) {
        let age = step.now.since(flow.first());
        self.resolve(flow, step);
        if matches!(flow.stage, Stage::New) && (!flow.provisional || age >= NAMING_PATIENCE) {
            self.start(flow, step);
        }
        if !flow.provisional || age >= EDGE_PATIENCE {
            self.connect(flow);
        }
        if matches!(flow.stage, Stage::Open) {
            let quiet = step.now.since(flow.last);
            if let Some(reason) = flow.tcp_end().filter(|_| quiet >= END_GRACE) {
                self.end(flow, reason, step);
            } else if quiet >= self.idle_timeout(flow) {
                self.end(flow, flow.idle_end(), step);
            } else if flow.last > flow.reported
                && step.now.since(flow.reported) >= self.limits.active
            {
                flow.reported = step.now;
                step.report(flow, FlowPhase::Update);
            }
        }
    }

    /// Whether an ended conversation takes up nothing more. Only a connection that said so is over; what was merely
    /// silent may come again as another flow.
    pub(super) fn is_over(flow: &Conversation, now: Instant) -> bool {
        match &flow.stage {
            Stage::Ended(ended) => flow.tcp_end().is_none() || now >= ended.until,
            Stage::New | Stage::Open => false,
        }
    }

    /// When the next step can be due, unless something is observed before.
    pub(super) fn deadline(&self, flow: &Conversation) -> Instant {
        if !flow.connected {
            return AT_ONCE;
        }
        if let Stage::Ended(ended) = &flow.stage {
            return ended.until;
        }
        let idle = flow.last.after(self.idle_timeout(flow));
        let end = flow.tcp_end().map(|_| flow.last.after(END_GRACE));
        let update = flow.reported.after(self.limits.active);
        let update = (flow.last > flow.reported).then_some(update);
        end.into_iter().chain(update).fold(idle, Instant::min)
    }

    /// The same, after a step that was done now.
    pub(super) fn next_deadline(&self, flow: &Conversation, now: Instant) -> Instant {
        let deadline = self.deadline(flow);
        if flow.provisional { deadline.min(now.after(EDGE_PATIENCE)) } else { deadline }
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

    /// Asks for names as long as they may become better. Those of a flow that has ended are kept.
    fn resolve(&mut self, flow: &mut Conversation, step: &mut Step<'_>) {
        if !flow.provisional {
            return;
        }
        let (client, server) = flow.client_and_server();
        let seen = flow.seen();
        let (protocol, first) = (flow.key.protocol, flow.first());
        let unnamed = Unnamed { client, server, protocol, seen: &seen, first };
        let (names, provisional) = match (step.name)(&unnamed) {
            Naming::Final(names) => (names, false),
            Naming::Provisional(names) => (names, true),
        };
        let names = self.names.share(names);
        if flow.names.as_ref().is_none_or(|known| !Arc::ptr_eq(known, &names)) {
            flow.names = Some(names);
            flow.edge = None;
        }
        // Until the start is reported the direction may turn, and the names with it.
        flow.provisional = provisional;
        if !provisional {
            flow.fix_direction();
        }
    }

    fn start(&mut self, flow: &mut Conversation, step: &mut Step<'_>) {
        flow.fix_direction();
        flow.stage = Stage::Open;
        self.started += 1;
        step.report(flow, FlowPhase::Start);
    }

    /// Reports the end, and the start before it if nobody has heard of the flow yet.
    pub(super) fn end(&mut self, flow: &mut Conversation, reason: EndReason, step: &mut Step<'_>) {
        self.resolve(flow, step);
        if matches!(flow.stage, Stage::New) {
            self.start(flow, step);
        }
        if matches!(flow.stage, Stage::Open) {
            let (sent, received) = flow.counted();
            let crowded = self.lingering >= self.limits.max_flows / CROWD;
            let until = step.now.after(if crowded { SHORT_LINGER } else { LINGER });
            flow.stage = Stage::Ended(Box::new(Ended { until, sent, received }));
            *self.ended.entry(reason).or_default() += 1;
            self.lingering += 1;
            step.report(flow, FlowPhase::End(reason));
        }
    }

    /// The last of a conversation: what came after its end is told, everything is in an edge.
    pub(super) fn forget(&mut self, mut flow: Conversation, step: &mut Step<'_>) {
        self.connect(&mut flow);
        let Stage::Ended(ended) = &flow.stage else { return };
        self.lingering -= 1;
        if flow.counted() != (ended.sent, ended.received) {
            step.report(&flow, FlowPhase::End(EndReason::Late));
        }
    }

    /// Ends and forgets a conversation, whatever its stage.
    pub(super) fn finish(
        &mut self,
        mut flow: Conversation,
        otherwise: EndReason,
        step: &mut Step<'_>,
    ) {
        let reason = flow.tcp_end().unwrap_or(otherwise);
        self.end(&mut flow, reason, step);
        self.forget(flow, step);
    }

    /// Adds a conversation that has started to the edge between its two names, with all that it has counted.
    fn connect(&mut self, flow: &mut Conversation) {
        if flow.connected || matches!(flow.stage, Stage::New) {
            return;
        }
        flow.connected = true;
        let earlier = flow.earlier.take();
        let is_new = earlier.is_none();
        self.grow(flow, earlier.map_or((Tally::ZERO, Tally::ZERO), |earlier| *earlier));
        if let Some(edge) = flow.edge.filter(|_| is_new) {
            self.edges.connect(edge);
        }
    }

    /// Adds to its edge what a conversation has counted since it had counted this.
    pub(super) fn grow(&mut self, flow: &mut Conversation, before: (Tally, Tally)) {
        let (sent, received) = flow.counted();
        if !flow.connected || (sent, received) == before {
            return;
        }
        let Some(names) = &flow.names else { return };
        let (_, server) = flow.client_and_server();
        let between = (&**names, flow.key.protocol, server.port);
        let (sent, received) = (sent.since(before.0), received.since(before.1));
        let edge = self.edges.add(flow.edge, between, sent, received);
        flow.edge = Some(edge);
        self.edges.repair(edge, flow.newly_retransmitted());
    }
}
