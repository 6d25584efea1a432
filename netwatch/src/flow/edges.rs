//! Who talks to whom, in all.

use std::{collections::HashMap, sync::Arc};

use super::names::Names;
use crate::model::{Edge, EdgeTraffic, Protocol, Tally};

/// Ports from here on are handed out to clients: never a label. A server that listens there has the label 0.
const FIRST_EPHEMERAL: u16 = 32_768;

/// The sums of all edges. Bounded: edges beyond the limit are folded into one, and never lose a byte. An edge that has
/// a name of its own keeps it, so no sum ever decreases.
#[derive(Debug)]
pub struct Edges {
    named: HashMap<Edge, EdgeId>,
    limit: usize,
    /// By [`EdgeId`].
    traffic: Vec<EdgeTraffic>,
    folded: u64,
}

/// An edge, for as long as there are edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EdgeId(u32);

/// What all edges beyond the limit share.
const OTHER: EdgeId = EdgeId(0);

impl Edges {
    /// At most `limit` edges with names of their own.
    pub fn new(limit: usize) -> Self {
        Self { named: HashMap::new(), limit, traffic: vec![EdgeTraffic::default()], folded: 0 }
    }

    /// The edge between two ends, the server's with its port.
    pub(super) fn find(&mut self, names: &Names, protocol: Protocol, port: u16) -> EdgeId {
        let labelled = protocol.has_ports() && port < FIRST_EPHEMERAL;
        let edge = Edge {
            client: names.client.label().into(),
            server: names.server.label().into(),
            protocol: Some(protocol),
            port: if labelled { port } else { 0 },
        };
        self.id(edge)
    }

    fn id(&mut self, edge: Edge) -> EdgeId {
        if let Some(known) = self.named.get(&edge) {
            return *known;
        }
        match u32::try_from(self.traffic.len()) {
            Ok(next) if self.named.len() < self.limit => {
                self.traffic.push(EdgeTraffic::default());
                self.named.insert(edge, EdgeId(next));
                EdgeId(next)
            }
            _ => OTHER,
        }
    }

    /// Adds a flow.
    pub(super) fn connect(&mut self, edge: EdgeId) {
        self.folded += u64::from(edge == OTHER);
        if let Some(traffic) = self.traffic.get_mut(edge.0 as usize) {
            traffic.connections += 1;
        }
    }

    /// Adds what a flow has counted since the last time.
    pub(super) fn add(&mut self, edge: EdgeId, sent: Tally, received: Tally) {
        if let Some(traffic) = self.traffic.get_mut(edge.0 as usize) {
            traffic.sent += sent;
            traffic.received += received;
        }
    }

    /// Adds segments that were sent again.
    pub(super) fn repair(&mut self, edge: EdgeId, retransmitted: u64) {
        if let Some(traffic) = self.traffic.get_mut(edge.0 as usize) {
            traffic.retransmitted += retransmitted;
        }
    }

    /// All edges; the folded ones as one without a protocol.
    pub fn snapshot(&self) -> Vec<(Edge, EdgeTraffic)> {
        let traffic = |id: EdgeId| self.traffic.get(id.0 as usize).copied().unwrap_or_default();
        let mut edges: Vec<_> =
            self.named.iter().map(|(edge, id)| (edge.clone(), traffic(*id))).collect();
        let other = traffic(OTHER);
        if other != EdgeTraffic::default() {
            let name: Arc<str> = "other".into();
            edges.push((
                Edge { client: name.clone(), server: name, protocol: None, port: 0 },
                other,
            ));
        }
        edges
    }

    /// Goes on with what another one had added up.
    pub(super) fn restore(&mut self, kept: &[(Edge, EdgeTraffic)], folded: u64) {
        for (edge, traffic) in kept {
            let id = if edge.protocol.is_some() { self.id(edge.clone()) } else { OTHER };
            if let Some(sum) = self.traffic.get_mut(id.0 as usize) {
                *sum += *traffic;
            }
        }
        self.folded += folded;
    }

    /// Flows that were folded.
    pub fn folded(&self) -> u64 {
        self.folded
    }
}
