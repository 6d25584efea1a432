//! Who talks to whom, in all.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{Edge, EdgeTraffic, FlowRecord, Tally};

/// Ports from here on are handed out to clients: never a label. A server that listens there has the label 0.
const FIRST_EPHEMERAL: u16 = 32_768;

/// The sums of all edges. Bounded: edges beyond the limit are folded into one, and never lose a byte. An edge that has
/// a name of its own keeps it, so no sum ever decreases.
#[derive(Debug)]
pub struct Edges {
    named: HashMap<Edge, EdgeTraffic>,
    limit: usize,
    other: EdgeTraffic,
    folded: u64,
}

impl Edges {
    /// At most `limit` edges with names of their own.
    pub fn new(limit: usize) -> Self {
        Self { named: HashMap::new(), limit, other: EdgeTraffic::default(), folded: 0 }
    }

    /// Adds what a flow has counted since the last time.
    pub fn add(&mut self, flow: &FlowRecord, sent: Tally, received: Tally, new_connection: bool) {
        let edge = edge_of(flow);
        let has_room = self.named.len() < self.limit;
        let traffic = match self.named.get_mut(&edge) {
            Some(traffic) => traffic,
            None if has_room => self.named.entry(edge).or_default(),
            None => {
                self.folded += u64::from(new_connection);
                &mut self.other
            }
        };
        traffic.sent += sent;
        traffic.received += received;
        traffic.connections += u64::from(new_connection);
    }

    /// All edges; the folded ones as one without a protocol.
    pub fn snapshot(&self) -> Vec<(Edge, EdgeTraffic)> {
        let mut edges: Vec<_> =
            self.named.iter().map(|(edge, traffic)| (edge.clone(), *traffic)).collect();
        if self.other != EdgeTraffic::default() {
            let name: Arc<str> = "other".into();
            edges.push((
                Edge { client: name.clone(), server: name, protocol: None, port: 0 },
                self.other,
            ));
        }
        edges
    }

    /// Flows that were folded.
    pub fn folded(&self) -> u64 {
        self.folded
    }
}

fn edge_of(flow: &FlowRecord) -> Edge {
    let port = flow.server.socket.port;
    let labelled = flow.protocol.has_ports() && port < FIRST_EPHEMERAL;
    Edge {
        client: flow.client.label().into(),
        server: flow.server.label().into(),
        protocol: Some(flow.protocol),
        port: if labelled { port } else { 0 },
    }
}
