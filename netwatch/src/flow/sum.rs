//! Several flows between the same two, added up.

use std::{collections::BTreeMap, time::Duration};

use crate::model::{
    Answered, Direction, EndReason, FlowDrop, FlowEvent, FlowPhase, FlowRecord, Fold, Seen,
};

/// Flows that are over, added up.
#[derive(Debug)]
pub(super) struct Sum {
    flow: FlowRecord,
    connections: u64,
    ends: BTreeMap<EndReason, u64>,
    waits: Vec<Duration>,
}

impl Sum {
    /// Of one flow.
    pub(super) fn new(event: &FlowEvent) -> Self {
        let flow = FlowRecord { handshake: None, ..event.flow.clone() };
        let mut sum = Self { flow, connections: 0, ends: BTreeMap::new(), waits: Vec::new() };
        sum.count(event);
        sum
    }

    /// Whether a flow is of the same kind: between the same two, and the same in whatever does not add up.
    pub(super) fn takes(&self, flow: &FlowRecord) -> bool {
        let known = &self.flow;
        let place =
            |flow: &FlowRecord| flow.undelivered.as_ref().map(|missing| missing.place.clone());
        let server_port =
            |flow: &FlowRecord| flow.protocol.has_ports().then_some(flow.server.socket.port);
        let way = |flow: &FlowRecord| flow.translation.map(|known| (known.via(), known.by));
        known.protocol == flow.protocol
            && known.client.address() == flow.client.address()
            && known.server.address() == flow.server.address()
            && server_port(known) == server_port(flow)
            && known.client.name == flow.client.name
            && known.server.name == flow.server.name
            && known.network == flow.network
            && known.behind == flow.behind
            && way(known) == way(flow)
            && known.error == flow.error
            && known.echo == flow.echo
            && place(known) == place(flow)
    }

    /// Adds a flow of the same kind.
    pub(super) fn add(&mut self, event: &FlowEvent) {
        self.count(event);
        let FlowEvent { flow, .. } = event;
        let sum = &mut self.flow;
        sum.sent += flow.sent;
        sum.received += flow.received;
        sum.first = sum.first.min(flow.first);
        sum.last = sum.last.max(flow.last);
        merge(&mut sum.from_client, &flow.from_client);
        merge(&mut sum.from_server, &flow.from_server);
        sum.echoes.timed += flow.echoes.timed;
        sum.echoes.total += flow.echoes.total;
        sum.source_mac = sum.source_mac.filter(|mac| flow.source_mac == Some(*mac));
        for new in &flow.seen {
            let hook = |known: &&mut Seen| {
                (known.ifindex, known.side, known.from_client)
                    == (new.ifindex, new.side, new.from_client)
            };
            match sum.seen.iter_mut().find(hook) {
                Some(known) => known.tally += new.tally,
                None => sum.seen.push(*new),
            }
        }
        let is_new = |new: &&(u32, _)| sum.interfaces.iter().all(|known| known.0 != new.0);
        let new: Vec<_> = flow.interfaces.iter().filter(is_new).cloned().collect();
        if !new.is_empty() {
            sum.interfaces = sum.interfaces.iter().cloned().chain(new).collect();
        }
        for new in &flow.drops {
            let kind = |known: &&mut FlowDrop| {
                (known.ifindex, known.from_client) == (new.ifindex, new.from_client)
                    && known.place == new.place
                    && known.reason == new.reason
            };
            match sum.drops.iter_mut().find(kind) {
                Some(known) => known.packets += new.packets,
                None => sum.drops.push(new.clone()),
            }
        }
        if let (Some(sum), Some(new)) = (&mut sum.undelivered, &flow.undelivered) {
            sum.from_client += new.from_client;
            sum.from_server += new.from_server;
        }
    }

    fn count(&mut self, event: &FlowEvent) {
        self.connections += 1;
        if let FlowPhase::End(reason) = event.phase {
            *self.ends.entry(reason).or_default() += 1;
        }
        self.waits.extend(event.flow.handshake.map(|handshake| handshake.answered));
    }

    /// Connections whose handshake was timed.
    pub(super) fn waits(&self) -> usize {
        self.waits.len()
    }
}

impl From<Sum> for Fold {
    fn from(Sum { flow, connections, ends, waits }: Sum) -> Self {
        Self { sum: flow, connections, ends, answered: Answered::of(waits) }
    }
}

fn merge(sum: &mut Direction, new: &Direction) {
    sum.tcp_flags |= new.tcp_flags;
    sum.repairs += new.repairs;
    sum.traits.merge(new.traits);
}
