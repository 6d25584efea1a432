//! Containers and interfaces that have gone, and how long their figures stay: a host on which they come and go for months must not have
//! more series each day.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use super::{
    core::Core,
    dropping::{INSIDE, VETH},
};
use crate::{datapath::monotonic_now, model::Instant};

/// How often that is looked at.
const INTERVAL: Duration = Duration::from_secs(10);
/// The figures of at most so many that have gone are kept.
const MOST: usize = 1_000;
/// Names that are nobody's, and never go.
pub(super) const WORDS: [&str; 8] =
    ["", "host", "external", "multicast", "broadcast", "other", INSIDE, VETH];

/// Since when those are gone that have figures.
#[derive(Debug)]
pub(super) struct Forgetting {
    /// So long they stay.
    linger: Duration,
    gone: HashMap<Arc<str>, Instant>,
    looked: Instant,
}

impl Forgetting {
    /// `linger`: long enough for every scrape to have had the last figures, and for a container that is made anew under its
    /// name to go on.
    pub(super) fn new(linger: Duration) -> Self {
        Self { linger, gone: HashMap::new(), looked: Instant::default() }
    }

    /// Of all names that have figures, those to be forgotten now, as the time that they may stay and [`MOST`] have it.
    fn due(
        &mut self,
        now: Instant,
        all: HashSet<Arc<str>>,
        is_there: impl Fn(&str) -> bool,
    ) -> HashSet<Arc<str>> {
        self.gone.retain(|name, _| all.contains(name) && !is_there(name));
        for name in all.into_iter().filter(|name| !is_there(name)) {
            self.gone.entry(name).or_insert(now);
        }
        let mut gone: Vec<_> = self.gone.iter().map(|(name, at)| (*at, Arc::clone(name))).collect();
        gone.sort_unstable();
        let beyond = gone.len().saturating_sub(MOST);
        let is_due = |(place, (at, _)): &(usize, (Instant, Arc<str>))| {
            *place < beyond || now.since(*at) >= self.linger
        };
        gone.into_iter().enumerate().filter(is_due).map(|(_, (_, name))| name).collect()
    }
}

impl Core {
    /// Gives series of their own to what has become large, in the place of what has not.
    fn name_the_largest(&mut self, now: Instant) {
        self.tracker.name_the_largest(now);
        self.accounts.name_the_largest(now);
        self.ports.name_the_largest(now, |index| self.datapath.counters(index));
    }

    /// Lets go of the figures of containers and interfaces that have been gone for long.
    pub(super) fn forget_the_gone(&mut self) {
        let now = monotonic_now();
        if now.since(self.forgetting.looked) < INTERVAL {
            return;
        }
        self.forgetting.looked = now;
        self.name_the_largest(now);
        let all = self.accounts.names().chain(self.dropping.names());
        let all = all.chain(self.tracker.edges().names()).chain(self.timing.names());
        let all: HashSet<_> = all.chain(self.dns.names()).map(Arc::clone).collect();
        let containers = self.directory.containers().map(|container| container.name.as_str());
        let interfaces = self.directory.interfaces().map(|interface| interface.name.as_str());
        let there: HashSet<&str> = containers.chain(interfaces).chain(WORDS).collect();
        self.labelled.only(|name| there.contains(name) || all.contains(name));
        let due = self.forgetting.due(now, all, |name| there.contains(name));
        if due.is_empty() {
            return;
        }
        self.accounts.forget(&due);
        self.sizes.forget(&due);
        self.dropping.forget_names(&due);
        self.delivery.forget(&due);
        self.dns.forget(&due);
        self.timing.forget(&due);
        self.tracker.forget(&due);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINGER: Duration = Duration::from_mins(15);

    fn names(numbers: std::ops::Range<usize>) -> HashSet<Arc<str>> {
        numbers.map(|number| format!("c{number}").into()).collect()
    }

    #[test]
    fn who_is_gone_is_kept_for_a_while_and_who_comes_back_begins_anew() {
        let mut forgetting = Forgetting::new(LINGER);
        let at = |minutes| Instant(0).after(Duration::from_mins(minutes));
        let mut due = |minutes, is_there: bool| {
            forgetting.due(at(minutes), names(0..2), |name| is_there || name == "c0").len()
        };
        assert_eq!(due(0, true), 0);
        assert_eq!(due(100, false), 0, "gone from now on");
        assert_eq!(due(114, false), 0);
        assert_eq!(due(114, true), 0, "it came back");
        assert_eq!(due(116, false), 0);
        assert_eq!(due(131, false), 1, "and c0 is still there");
    }

    #[test]
    fn those_that_went_first_make_room() {
        let mut forgetting = Forgetting::new(LINGER);
        assert!(forgetting.due(Instant(1), names(0..10), |_| false).is_empty());
        let due = forgetting.due(Instant(2), names(0..MOST + 5), |_| false);
        assert_eq!(due.len(), 5);
        assert!(due.is_subset(&names(0..10)), "{due:?}");
        // Those are not asked about again, since they have no figures any more.
        let left = names(0..MOST + 5).difference(&due).cloned().collect();
        assert!(forgetting.due(Instant(3), left, |_| false).is_empty());
    }
}
