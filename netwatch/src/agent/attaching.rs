//! How attaching went: how soon after a link came, and what had passed by then.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
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
    }

    /// These links are there, and no others.
    pub(super) fn only(&mut self, is_there: impl Fn(u32) -> bool) {
        self.born.retain(|index, _| is_there(*index));
        self.missing.retain(|index, _| is_there(*index));
    }

    /// A link is attached to, or need not be.
    pub(super) fn is_settled(&mut self, index: u32) {
        self.missing.remove(&index);
    }

    /// A link that should be attached to cannot be.
    pub(super) fn failed(&mut self, index: u32, why: String) {
        self.failures += 1;
        self.missing.insert(index, why);
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
            gap_packets: self.gap_packets,
        }
    }
}

/// Packets that a device has carried, by its own counters.
pub(super) fn carried(interface: &str) -> u64 {
    // Names of interfaces have no slash (`dev_valid_name`).
    let read = |counter: &str| {
        let path = format!("/sys/class/net/{interface}/statistics/{counter}");
        fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    read("rx_packets") + read("tx_packets")
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
        attaching.failed(9, "veth9: no room".into());
        attaching.failed(9, "veth9: no room".into());
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
