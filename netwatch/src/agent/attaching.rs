//! How attaching went: how soon after a link came, and what had passed by then.

use std::{
    collections::{BTreeMap, HashMap},
    time::Instant,
};

use crate::{model::AttachStatus, serve::Readiness};

/// Upper bounds of the buckets, in seconds.
const BOUNDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];

/// Sums over all attaches since the start.
pub(super) struct Attaching {
    buckets: [u64; BOUNDS.len()],
    seconds: f64,
    count: u64,
    /// When each link that is not attached to was first heard of.
    born: HashMap<u32, Instant>,
    /// Links that should be attached to and are not, and why.
    missing: BTreeMap<u32, String>,
    /// How many packets the device has counted that we have not, when it was last looked at.
    ahead: HashMap<u32, i128>,
    pub(super) detached_by_others: u64,
    pub(super) failures: u64,
    pub(super) gap_packets: u64,
}

impl Attaching {
    pub(super) fn new() -> Self {
        Self {
            buckets: [0; BOUNDS.len()],
            seconds: 0.0,
            count: 0,
            born: HashMap::new(),
            missing: BTreeMap::new(),
            ahead: HashMap::new(),
            detached_by_others: 0,
            failures: 0,
            gap_packets: 0,
        }
    }

    /// The kernel spoke of a link that is not attached to.
    pub(super) fn heard_of(&mut self, index: u32, at: Instant) {
        self.born.entry(index).or_insert(at);
    }

    /// A link that came while the agent ran is attached.
    pub(super) fn attached(&mut self, index: u32) {
        let Some(born) = self.born.remove(&index) else { return };
        let seconds = born.elapsed().as_secs_f64();
        for (bucket, bound) in self.buckets.iter_mut().zip(BOUNDS) {
            *bucket += u64::from(seconds <= bound);
        }
        self.seconds += seconds;
        self.count += 1;
    }

    /// A link is gone.
    pub(super) fn forget(&mut self, index: u32) {
        self.born.remove(&index);
        self.missing.remove(&index);
        self.ahead.remove(&index);
    }

    /// These links are there, and no others.
    pub(super) fn only(&mut self, is_there: impl Fn(u32) -> bool) {
        self.born.retain(|index, _| is_there(*index));
        self.missing.retain(|index, _| is_there(*index));
        self.ahead.retain(|index, _| is_there(*index));
    }

    /// A link is attached to, or need not be.
    pub(super) fn is_settled(&mut self, index: u32) {
        self.missing.remove(&index);
    }

    /// A link that should be attached to cannot be. Whether that is news.
    pub(super) fn failed(&mut self, index: u32, why: String) -> bool {
        self.failures += 1;
        self.ahead.remove(&index);
        let before = self.missing.insert(index, why);
        before.as_ref() != self.missing.get(&index)
    }

    /// Links that should be attached to and are not.
    pub(super) fn missing(&self) -> Vec<u32> {
        self.missing.keys().copied().collect()
    }

    /// All is well with a link, whose device has counted so many packets more than we.
    pub(super) fn is_ahead(&mut self, index: u32, by: i128) {
        self.ahead.insert(index, by);
    }

    /// Somebody else has detached us. What the device has counted since it was last looked at, and we have not, has passed unseen.
    pub(super) fn detached_by_others(&mut self, index: u32, ahead: Option<i128>) {
        self.detached_by_others += 1;
        let Some(ahead) = ahead else { return };
        let before = self.ahead.insert(index, ahead).unwrap_or(ahead);
        self.gap_packets += u64::try_from(ahead - before).unwrap_or(0);
    }

    /// Whether all is attached to that should be.
    pub(super) fn readiness(&self) -> Readiness {
        let Some((_, first)) = self.missing.first_key_value() else { return Readiness::Ready };
        let others = self.missing.len() - 1;
        let more = if others == 0 { String::new() } else { format!(" ({others} more like it)") };
        Readiness::NotReady(format!("not attached everywhere: {first}{more}; see the log"))
    }

    pub(super) fn status(&self, attached: u64) -> AttachStatus {
        AttachStatus {
            attached,
            seconds_buckets: BOUNDS.into_iter().zip(self.buckets).collect(),
            seconds_sum: self.seconds,
            seconds_count: self.count,
            failures: self.failures,
            detached_by_others: self.detached_by_others,
            gap_packets: self.gap_packets,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn ready_is_who_is_attached_everywhere() {
        let mut attaching = Attaching::new();
        assert_eq!(attaching.readiness(), Readiness::Ready);
        attaching.failed(7, "veth7: no room".into());
        assert!(attaching.failed(9, "veth9: no room".into()));
        assert!(!attaching.failed(9, "veth9: no room".into()), "no news");
        let reason = "not attached everywhere: veth7: no room (1 more like it); see the log";
        assert_eq!(attaching.readiness(), Readiness::NotReady(reason.into()));
        attaching.is_settled(7);
        let reason = "not attached everywhere: veth9: no room; see the log";
        assert_eq!(attaching.readiness(), Readiness::NotReady(reason.into()));
        attaching.only(|index| index == 9);
        assert_eq!(attaching.readiness(), Readiness::NotReady(reason.into()));
        attaching.forget(9);
        assert_eq!(attaching.readiness(), Readiness::Ready);
        assert_eq!(attaching.failures, 3);
    }

    #[test]
    fn what_passed_while_detached_is_what_the_device_has_counted_since() {
        let mut attaching = Attaching::new();
        attaching.is_ahead(7, 5);
        attaching.is_ahead(7, 6);
        attaching.detached_by_others(7, Some(106));
        assert_eq!(attaching.gap_packets, 100);
        attaching.detached_by_others(7, Some(107));
        // A link that has not been looked at yet, and one whose device counts less than we do.
        attaching.detached_by_others(8, Some(1_000));
        attaching.detached_by_others(8, Some(999));
        // And one whose device could not be asked.
        attaching.detached_by_others(7, None);
        assert_eq!((attaching.gap_packets, attaching.detached_by_others), (101, 5));
    }

    #[test]
    fn the_time_counts_from_the_first_word_of_a_link() {
        let mut attaching = Attaching::new();
        let ago = |time| Instant::now().checked_sub(time).unwrap();
        attaching.heard_of(7, ago(Duration::from_millis(30)));
        attaching.heard_of(7, ago(Duration::from_millis(1)));
        attaching.attached(7);
        attaching.heard_of(8, ago(Duration::from_secs(3)));
        attaching.attached(8);
        attaching.attached(9);
        let status = attaching.status(1);
        let of = |bound: f64| status.seconds_buckets.iter().find(|(le, _)| *le >= bound).unwrap().1;
        assert_eq!(
            (of(0.025), of(1.0), status.seconds_count),
            (0, 1, 2),
            "cumulative; 9 was there at the start"
        );
    }
}
