//! Who talks to whom, in all.

use std::{
    collections::{HashMap, HashSet},
    mem,
    sync::Arc,
};

use super::names::Names;
use crate::model::{Edge, EdgeTraffic, Instant, Largest, LargestChange, Protocol, Tally};

/// Ports from here on are handed out to clients: never a label. A server that listens there has the label 0.
const FIRST_EPHEMERAL: u16 = 32_768;

/// The sums of all edges. Bounded: edges beyond the limit are folded into one, and never lose a byte. An edge that has
/// a name of its own keeps it until one of its ends is forgotten or a much larger one wants its place.
#[derive(Debug)]
pub struct Edges {
    named: HashMap<Edge, EdgeId>,
    largest: Largest<Edge>,
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
        let largest = Largest::new(limit);
        Self { named: HashMap::new(), largest, traffic, free: Vec::new(), folded: 0 }
    }

    /// Adds what a flow has counted since the last time to its edge, which is known already or between these two, the
    /// server with its port. Answers with the edge. One without a name may have one the next time.
    pub(super) fn add(
        &mut self,
        known: Option<EdgeId>,
        between: (&Names, Protocol, u16),
        sent: Tally,
        received: Tally,
    ) -> EdgeId {
        let id = known.filter(|known| *known != OTHER).unwrap_or_else(|| {
            let (names, protocol, port) = between;
            let labelled = protocol.has_ports() && port < FIRST_EPHEMERAL;
            let edge = Edge {
                client: names.client.label().into(),
                server: names.server.label().into(),
                protocol: Some(protocol),
                port: if labelled { port } else { 0 },
            };
            self.id(edge, (sent + received).bytes)
        });
        if let Some(traffic) = self.traffic.get_mut(id.0 as usize) {
            traffic.sent += sent;
            traffic.received += received;
        }
        id
    }

    fn id(&mut self, edge: Edge, bytes: u64) -> EdgeId {
        if let Some(known) = self.named.get(&edge) {
            return *known;
        }
        if !self.largest.admits(&edge, self.named.len()) {
            self.largest.pass_over(&edge, bytes);
            return OTHER;
        }
        self.name(edge)
    }

    fn name(&mut self, edge: Edge) -> EdgeId {
        let Some(place) = self.free.pop().or_else(|| self.grow()) else { return OTHER };
        self.named.insert(edge, place);
        place
    }

    fn grow(&mut self) -> Option<EdgeId> {
        let next = u32::try_from(self.traffic.len()).ok()?;
        self.traffic.push(EdgeTraffic::default());
        Some(EdgeId(next))
    }

    /// Whether there are edges that want a name.
    pub(super) fn is_crowded(&self) -> bool {
        self.largest.is_crowded()
    }

    /// Gives the places of small edges to larger ones, but for those that are held.
    pub(super) fn change(&mut self, now: Instant, held: &HashSet<EdgeId>) {
        let bytes = |id: &EdgeId| {
            let traffic = self.traffic.get(id.0 as usize).copied().unwrap_or_default();
            (traffic.sent + traffic.received).bytes
        };
        let own = self.named.iter().filter(|(_, id)| !held.contains(id));
        let LargestChange { out, into } =
            self.largest.change(now, own.map(|(edge, id)| (edge.clone(), bytes(id))));
        for edge in out {
            let Some(id) = self.named.remove(&edge) else { continue };
            let traffic = self.traffic.get_mut(id.0 as usize).map(mem::take).unwrap_or_default();
            self.free.push(id);
            self.folded += traffic.connections;
            if let Some(other) = self.traffic.get_mut(OTHER.0 as usize) {
                *other += traffic;
            }
        }
        for edge in into {
            self.name(edge);
        }
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
        self.largest.forget(|edge| names.contains(&edge.client) || names.contains(&edge.server));
    }

    /// Adds a flow.
    pub(super) fn connect(&mut self, edge: EdgeId) {
        self.folded += u64::from(edge == OTHER);
        if let Some(traffic) = self.traffic.get_mut(edge.0 as usize) {
            traffic.connections += 1;
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
            let bytes = (traffic.sent + traffic.received).bytes;
            let id = if edge.protocol.is_some() { self.id(edge.clone(), bytes) } else { OTHER };
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

    const TALLY: Tally = Tally { packets: 1, segments: 1, bytes: 60 };

    /// Between two, on TCP's port 80.
    fn add(edges: &mut Edges, client: &str, server: &str, sent: Tally) -> EdgeId {
        let id = edges.add(None, (&names(client, server), Protocol::TCP, 80), sent, Tally::ZERO);
        edges.connect(id);
        id
    }

    fn sent(edges: &Edges, client: &str) -> Option<u64> {
        let all = edges.snapshot();
        let (_, traffic) = all.iter().find(|(edge, _)| &*edge.client == client)?;
        Some(traffic.sent.bytes)
    }

    #[test]
    fn who_is_forgotten_makes_room_and_who_is_held_stays() {
        let mut edges = Edges::new(2);
        let old = add(&mut edges, "old", "db", TALLY);
        let held = add(&mut edges, "web", "old", TALLY);
        assert_eq!(add(&mut edges, "new", "db", TALLY), OTHER, "no room");

        let gone = HashSet::from(["old".into()]);
        edges.forget(&gone, &HashSet::from([held]));
        assert_eq!(add(&mut edges, "new", "db", TALLY), old, "in its place");
        let others = sent(&edges, "other");
        assert_eq!(
            (sent(&edges, "new"), sent(&edges, "web"), others),
            (Some(60), Some(60), Some(60))
        );

        edges.forget(&gone, &HashSet::new());
        assert_eq!(edges.snapshot().len(), 2);
        assert_eq!(edges.names().count(), 2);
    }

    #[test]
    fn the_largest_get_names_and_the_sum_stays() {
        let mut edges = Edges::new(3);
        for client in ["a", "b", "c", "d", "e"] {
            add(&mut edges, client, "db", TALLY);
        }
        let large = Tally { packets: 100, segments: 100, bytes: 100_000 };
        assert_eq!(add(&mut edges, "large", "db", large), OTHER);
        let held = HashSet::from([add(&mut edges, "a", "db", TALLY)]);
        assert!(edges.is_crowded());
        edges.change(Instant(0), &held);
        assert_eq!(sent(&edges, "large"), Some(0), "from now on");
        assert_eq!(
            (sent(&edges, "a"), sent(&edges, "b"), sent(&edges, "c")),
            (Some(120), None, Some(60))
        );
        assert_eq!((sent(&edges, "other"), edges.folded()), (Some(100_000 + 3 * 60), 4));
        let id = add(&mut edges, "large", "db", large);
        assert_ne!(id, OTHER);
        assert_eq!(add(&mut edges, "b", "db", TALLY), OTHER, "for a while");
        let sum: u64 = edges.snapshot().iter().map(|(_, traffic)| traffic.sent.bytes).sum();
        assert_eq!(sum, 2 * 100_000 + 7 * 60);
        let flows: u64 = edges.snapshot().iter().map(|(_, traffic)| traffic.connections).sum();
        assert_eq!(flows, 9);
    }
}
