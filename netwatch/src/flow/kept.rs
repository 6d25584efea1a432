//! What is kept of flows from one agent to the next.

use serde::{Deserialize, Serialize, Serializer, ser::SerializeSeq as _};

use super::{
    Tracker,
    conversation::{Conversation, Stage},
};
use crate::model::{Edge, EdgeTraffic, EndReason, Tally};

/// Everything of a [`Tracker`]: its sums, and the flows that go on.
#[derive(Debug, Default, Deserialize)]
pub struct Kept {
    sums: Sums,
    flows: Vec<Conversation>,
}

/// The sums alone.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Sums {
    next_id: u64,
    counted: Tally,
    over_limit: Tally,
    started: u64,
    /// In the order of [`EndReason::ALL`].
    ended: Vec<u64>,
    edges: Vec<(Edge, EdgeTraffic)>,
    folded: u64,
}

/// The same as it is written: a [`Tracker`] is not copied for that.
#[derive(Serialize)]
struct Written<'a> {
    sums: Sums,
    flows: Flows<'a>,
}

/// The conversations of a tracker, those that were replaced last.
struct Flows<'a>(&'a Tracker);

impl Serialize for Flows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(tracker) = self;
        let mut all =
            serializer.serialize_seq(Some(tracker.table.len() + tracker.replaced.len()))?;
        let there = tracker.table.iter().map(|(_, flow)| flow);
        there.chain(&tracker.replaced).try_for_each(|flow| all.serialize_element(flow))?;
        all.end()
    }
}

impl Tracker {
    /// What the next agent has to know: a [`Kept`] when it is read.
    pub fn keep(&self) -> impl Serialize {
        let ended = |reason| self.lifecycle.ended.get(reason).copied().unwrap_or(0);
        let sums = Sums {
            next_id: self.next_id,
            counted: self.counted,
            over_limit: self.over_limit,
            started: self.lifecycle.started,
            ended: EndReason::ALL.iter().map(ended).collect(),
            edges: self.edges().snapshot(),
            folded: self.edges().folded(),
        };
        Written { sums, flows: Flows(self) }
    }

    /// Goes on with everything. What comes is counted on, in the same ledger, or begins anew, in another.
    pub fn restore(&mut self, kept: Kept, same_ledger: bool) {
        let Kept { sums, flows } = kept;
        self.next_id = self.next_id.max(sums.next_id);
        self.lifecycle.edges.restore(&sums.edges, sums.folded);
        self.lifecycle.started += sums.started;
        if same_ledger {
            self.counted += sums.counted;
            self.over_limit += sums.over_limit;
        }
        for (reason, count) in EndReason::ALL.iter().zip(&sums.ended) {
            *self.lifecycle.ended.entry(*reason).or_default() += count;
        }
        for flow in flows.into_iter().map(Conversation::taken_over) {
            if let Some(translation) = flow.translation() {
                self.translations.insert(translation);
            }
            self.lifecycle.lingering += usize::from(matches!(flow.stage, Stage::Ended(_)));
            match self.table.find(&flow.key) {
                None => drop(self.table.insert(flow)),
                // It was replaced by another one with its key.
                Some(_) => self.replaced.push(flow),
            }
        }
    }
}

#[cfg(test)]
mod example;
#[cfg(test)]
mod tests;
