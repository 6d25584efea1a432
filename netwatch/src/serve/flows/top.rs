//! The largest flows of a stream of events, in bounded memory. Pure.
//!
//! What flows are ranked by only grows while they live. So it is enough to keep as many as are wanted: one that was put
//! out comes in again with the event that makes it large enough.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{Event, Kind};
use crate::model::{Socket, WallTime};

/// What flows are ranked by, largest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Bytes of both directions.
    Bytes,
    /// Packets of both directions.
    Packets,
    /// From the first to the last packet.
    Duration,
    /// Packets that were dropped or did not arrive. Flows without are left out.
    Drops,
    /// The time of the last event, latest first.
    Time,
}

impl Order {
    /// All orders, each with its word.
    pub const WORDS: [(&'static str, Self); 5] = [
        ("bytes", Self::Bytes),
        ("packets", Self::Packets),
        ("duration", Self::Duration),
        ("drops", Self::Drops),
        ("time", Self::Time),
    ];
}

/// Which flows, and how many of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ranking {
    /// What decides.
    pub sort: Order,
    /// So many.
    pub top: usize,
}

impl Ranking {
    /// As many as can be asked for.
    pub const MOST: usize = 1_000;
}

/// Which flow an event is about. Numbers begin anew with an agent, so that the ends are needed too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowName {
    /// The flow's number.
    pub id: u64,
    /// What came after its end is told apart, and counted by itself.
    pub is_late: bool,
    /// Who began, and with whom.
    pub ends: [Socket; 2],
}

/// What a flow has come to.
#[derive(Clone, Copy, Debug)]
pub struct Totals {
    /// The flow.
    pub flow: FlowName,
    /// Bytes of both directions.
    pub bytes: u64,
    /// Packets of both directions.
    pub packets: u64,
    /// From the first to the last packet.
    pub duration_ns: u64,
    /// Packets that were dropped or did not arrive.
    pub drops: u64,
}

impl Totals {
    fn value(&self, order: Order, time: WallTime) -> i128 {
        match order {
            Order::Bytes => self.bytes.into(),
            Order::Packets => self.packets.into(),
            Order::Duration => self.duration_ns.into(),
            Order::Drops => self.drops.into(),
            Order::Time => time.0,
        }
    }
}

/// Where a flow stands: by value, then the older flow first.
type Place = (i128, Reverse<FlowName>);
/// Tells an event from an earlier one of the same flow: by what it has counted, then by its phase, then by the time, which
/// the wall clock makes later or earlier by a little each time it is looked at.
type Version = (u64, u8, WallTime);

/// Start, update, end.
fn phase(kind: Kind) -> u8 {
    match kind {
        Kind::End => 2,
        Kind::Update => 1,
        _ => 0,
    }
}

/// The largest flows so far, each by its last event.
pub struct Top<E> {
    ranking: Ranking,
    rows: BTreeMap<Place, Arc<E>>,
    known: HashMap<FlowName, (Place, Version)>,
}

impl<E> Clone for Top<E> {
    fn clone(&self) -> Self {
        Self { ranking: self.ranking, rows: self.rows.clone(), known: self.known.clone() }
    }
}

impl<E: Event> Top<E> {
    /// Nothing yet.
    pub fn new(ranking: Ranking) -> Self {
        Self { ranking, rows: BTreeMap::new(), known: HashMap::new() }
    }

    /// Takes up an event, if it is one of a flow that is large enough.
    pub fn offer(&mut self, event: &Arc<E>) {
        let Some(totals) = event.totals() else { return };
        let facts = event.facts();
        let value = totals.value(self.ranking.sort, facts.time);
        if self.ranking.sort == Order::Drops && value == 0 {
            return;
        }
        let version = (totals.packets, phase(facts.kind), facts.time);
        if self.known.get(&totals.flow).is_some_and(|(_, known)| *known > version) {
            return;
        }
        self.remove(event);
        let place = (value, Reverse(totals.flow));
        self.known.insert(totals.flow, (place, version));
        self.rows.insert(place, Arc::clone(event));
        if self.rows.len() > self.ranking.top
            && let Some(((_, Reverse(smallest)), _)) = self.rows.pop_first()
        {
            self.known.remove(&smallest);
        }
    }

    /// Takes out the flow that an event is about: what has become of it is not wanted.
    pub fn remove(&mut self, event: &E) {
        if let Some(totals) = event.totals()
            && let Some((place, _)) = self.known.remove(&totals.flow)
        {
            self.rows.remove(&place);
        }
    }

    /// The events, largest first.
    pub fn events(&self) -> impl Iterator<Item = &Arc<E>> {
        self.rows.values().rev()
    }
}
