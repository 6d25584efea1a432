//! Starts that wait for their ends.

use std::collections::{BTreeMap, HashMap};

use crate::model::{FlowKey, FlowRecord, Instant};

/// Which flow. Numbers begin anew with an agent, and logs of several may be read one after the other.
type FlowName = (u64, FlowKey);

/// Lines of flows that have begun, in the order in which they came.
#[derive(Debug)]
pub(super) struct Starts<T> {
    next: u64,
    waiting: BTreeMap<u64, Waiting<T>>,
    by_flow: HashMap<FlowName, u64>,
}

#[derive(Debug)]
struct Waiting<T> {
    until: Instant,
    flow: FlowName,
    line: T,
}

impl<T> Starts<T> {
    pub(super) fn new() -> Self {
        Self { next: 0, waiting: BTreeMap::new(), by_flow: HashMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Keeps a start, and gives out the one that waited under the same name: its flow's end never came.
    pub(super) fn push(&mut self, flow: &FlowRecord, until: Instant, line: T) -> Option<T> {
        let name = (flow.id, flow.key);
        let before = self.by_flow.insert(name, self.next);
        self.waiting.insert(self.next, Waiting { until, flow: name, line });
        self.next += 1;
        before.and_then(|number| self.waiting.remove(&number)).map(|waiting| waiting.line)
    }

    /// Takes out the start of a flow.
    pub(super) fn take(&mut self, flow: &FlowRecord) -> Option<T> {
        let number = self.by_flow.remove(&(flow.id, flow.key))?;
        self.waiting.remove(&number).map(|waiting| waiting.line)
    }

    /// Takes out the oldest one.
    pub(super) fn pop(&mut self) -> Option<T> {
        let (_, Waiting { flow, line, .. }) = self.waiting.pop_first()?;
        self.by_flow.remove(&flow);
        Some(line)
    }

    /// Takes out the oldest one if it has waited long enough.
    pub(super) fn pop_late(&mut self, now: Instant) -> Option<T> {
        let (_, oldest) = self.waiting.first_key_value()?;
        if oldest.until <= now { self.pop() } else { None }
    }
}
