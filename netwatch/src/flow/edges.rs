//! Who talks to whom, in all.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::names::Names;
use crate::model::{Edge, EdgeTraffic, Protocol, Tally};

/// Ports from here on are handed out to clients: never a label. A server that listens there has the label 0.
const FIRST_EPHEMERAL: u16 = 32_768;

/// The sums of all edges. Bounded: edges beyond the limit are folded into one, and never lose a byte. An edge that has
/// a name of its own keeps it until one of its ends is forgotten, so no sum ever decreases.
#[derive(Debug)]
pub struct Edges {
    named: HashMap<Edge, EdgeId>,
    limit: usize,
    /// By [`EdgeId`].
    traffic: Vec<EdgeTraffic>,
    /// Places of edges that are forgotten.
    free: Vec<EdgeId>,
    folded: u64,
}

/// An edge, for as long as somebody holds this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct EdgeId(u32);

/// What all edges beyond the limit share.
const OTHER: EdgeId = EdgeId(0);

impl Edges {
    /// At most `limit` edges with names of their own.
    pub fn new(limit: usize) -> Self {
        let traffic = vec![EdgeTraffic::default()];
        Self { named: HashMap::new(), limit, traffic, free: Vec::new(), folded: 0 }
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
        if self.named.len() >= self.limit {
            return OTHER;
        }
        let Some(place) = self.free.pop().or_else(|| self.grow()) else { return OTHER };
        self.named.insert(edge, place);
        place
    }

    fn grow(&mut self) -> Option<EdgeId> {
        let next = u32::try_from(self.traffic.len()).ok()?;
        self.traffic.push(EdgeTraffic::default());
        Some(EdgeId(next))
    }

    /// Names of all ends.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.named.keys().flat_map(|edge| [&edge.client, &edge.server])
    }

    /// These ends have been gone for long. What is held stays as it is, until the next time.
    pub(super) fn forget(&mut self, names: &HashSet<Arc<str>>, held: &HashSet<EdgeId>) {
        let Self { named, traffic, free, .. } = self;
        named.retain(|edge, place| {
            let is_gone = names.contains(&edge.client) || names.contains(&edge.server);
            if is_gone && !held.contains(place) {
                if let Some(traffic) = traffic.get_mut(place.0 as usize) {
                    *traffic = EdgeTraffic::default();
                }
                free.push(*place);
                return false;
            }
            true
        });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;

    fn names(client: &str, server: &str) -> Names {
        let name = |name: &str| Name::Interface(name.into());
        Names { client: name(client), server: name(server), behind: None, network: None }
    }

    #[test]
    fn who_is_forgotten_makes_room_and_who_is_held_stays() {
        let mut edges = Edges::new(2);
        let tally = Tally { packets: 1, segments: 1, bytes: 60 };
        let old = edges.find(&names("old", "db"), Protocol::TCP, 5432);
        let held = edges.find(&names("web", "old"), Protocol::TCP, 80);
        edges.add(old, tally, tally);
        edges.add(held, tally, tally);
        assert_eq!(edges.find(&names("new", "db"), Protocol::TCP, 5432), OTHER, "no room");

        let gone = HashSet::from(["old".into()]);
        edges.forget(&gone, &HashSet::from([held]));
        let new = edges.find(&names("new", "db"), Protocol::TCP, 5432);
        assert_eq!(new, old, "in its place");
        edges.add(new, tally, Tally::ZERO);
        let sent = |client: &str| {
            let all = edges.snapshot();
            let (_, traffic) = all.iter().find(|(edge, _)| &*edge.client == client).unwrap();
            (traffic.sent.packets, traffic.received.packets)
        };
        assert_eq!((sent("new"), sent("web")), ((1, 0), (1, 1)), "from zero, and as it was");

        edges.forget(&gone, &HashSet::new());
        assert_eq!(edges.snapshot().len(), 1);
        assert_eq!(edges.names().count(), 2);
    }
}
