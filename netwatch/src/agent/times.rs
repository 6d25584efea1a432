//! How long handshakes, echoes and look-ups took, by the name of who answered or asked.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use super::OTHERS;
use crate::model::{Clock, FlowEvent, Lookup, TimeHistogram, Times, WallTime};

/// Everything that was timed since the start.
#[derive(Debug)]
pub(super) struct Timing {
    handshakes: ByName,
    echoes: ByName,
    lookups: ByName,
}

impl Timing {
    /// So many names have figures of their own, of each kind; the others have one together.
    pub(super) fn new(most: usize) -> Self {
        let [handshakes, echoes, lookups] =
            std::array::from_fn(|_| ByName { most, times: BTreeMap::new() });
        Self { handshakes, echoes, lookups }
    }

    /// A flow has ended.
    pub(super) fn ended(&mut self, event: &FlowEvent, clock: Clock) {
        let flow = &event.flow;
        let of = Some((flow.id, clock.wall(event.time)));
        if let Some(handshake) = flow.handshake {
            self.handshakes.add(flow.server.label(), handshake.answered, of);
        }
        if let Some(mean) = flow.echoes.mean() {
            self.echoes.add(flow.server.label(), mean, of);
        }
    }

    /// A look-up has been answered, or not.
    pub(super) fn looked_up(&mut self, lookup: &Lookup) {
        if let Some(took) = lookup.took {
            self.lookups.add(lookup.client.label(), took, None);
        }
    }

    /// Whose times there are.
    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        [&self.handshakes, &self.echoes, &self.lookups]
            .into_iter()
            .flat_map(|times| times.times.keys())
    }

    /// These have been gone for long: others may have their places.
    pub(super) fn forget(&mut self, names: &HashSet<Arc<str>>) {
        for times in [&mut self.handshakes, &mut self.echoes, &mut self.lookups] {
            times.times.retain(|name, _| !names.contains(name));
        }
    }

    pub(super) fn snapshot(&self) -> Times {
        Times {
            handshakes: self.handshakes.snapshot(),
            echoes: self.echoes.snapshot(),
            lookups: self.lookups.snapshot(),
        }
    }
}

#[derive(Debug)]
struct ByName {
    most: usize,
    times: BTreeMap<Arc<str>, TimeHistogram>,
}

impl ByName {
    fn add(&mut self, name: &str, took: Duration, of: Option<(u64, WallTime)>) {
        let is_full = self.times.len() >= self.most;
        let name = if is_full && !self.times.contains_key(name) { OTHERS } else { name };
        match self.times.get_mut(name) {
            Some(histogram) => histogram.add(took, of),
            None => self.times.entry(name.into()).or_default().add(took, of),
        }
    }

    fn snapshot(&self) -> Vec<(Arc<str>, TimeHistogram)> {
        self.times.iter().map(|(name, histogram)| (Arc::clone(name), histogram.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded() {
        let mut names = ByName { most: 10, times: BTreeMap::new() };
        for number in 0..15 {
            names.add(&format!("c{number}"), Duration::from_millis(1), None);
        }
        names.add("c7", Duration::from_millis(1), None);
        assert_eq!(names.times.len(), 11);
        let of = |name: &str| names.times[name].count();
        assert_eq!((of("c7"), of(OTHERS)), (2, 5));
    }
}
