//! Who has been wrong how often, and how long they have to wait.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::source::Source;

/// Wrong passwords before one has to wait.
pub(super) const FREE: u32 = 3;
/// The first wait; each further one is twice as long.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST: Duration = Duration::from_mins(1);
/// After this time without a try all is forgotten.
const MEMORY: Duration = Duration::from_mins(10);
/// Sources that are remembered.
const MOST: usize = 1_024;

/// Wrong tries by where they came from.
#[derive(Default)]
pub(super) struct Tries(HashMap<Source, Wrong>);

struct Wrong {
    times: u32,
    last: Instant,
}

impl Wrong {
    fn wait(&self) -> Duration {
        match self.times.checked_sub(FREE) {
            None => Duration::ZERO,
            Some(more) => FIRST.saturating_mul(1 << more.min(16)).min(LONGEST),
        }
    }
}

impl Tries {
    /// For how long nothing of this source is looked at.
    pub(super) fn wait(&self, source: Source, now: Instant) -> Option<Duration> {
        let wrong = self.0.get(&source)?;
        let left = wrong.wait().checked_sub(now.saturating_duration_since(wrong.last))?;
        (!left.is_zero()).then_some(left)
    }

    pub(super) fn wrong(&mut self, source: Source, now: Instant) {
        self.0.retain(|_, wrong| now.saturating_duration_since(wrong.last) < MEMORY);
        if self.0.len() == MOST && !self.0.contains_key(&source) {
            let oldest = self.0.iter().min_by_key(|(_, wrong)| wrong.last).map(|(key, _)| *key);
            oldest.map(|oldest| self.0.remove(&oldest));
        }
        let wrong = self.0.entry(source).or_insert(Wrong { times: 0, last: now });
        (wrong.times, wrong.last) = (wrong.times.saturating_add(1), now);
    }

    pub(super) fn right(&mut self, source: Source) {
        self.0.remove(&source);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn source(number: u32) -> Source {
        Source::from(IpAddr::from(Ipv4Addr::from_bits(number)))
    }

    #[test]
    fn waits_grow_up_to_a_minute_and_are_forgotten() {
        let (mut tries, mut now) = (Tries::default(), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..12 {
            tries.wrong(source(1), now);
            waits.push(tries.wait(source(1), now).map_or(0, |wait| wait.as_secs()));
            assert_eq!(tries.wait(source(2), now), None);
        }
        assert_eq!(waits, [0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
        assert_eq!(tries.wait(source(1), now + LONGEST / 2), Some(LONGEST / 2));
        now += LONGEST;
        assert_eq!(tries.wait(source(1), now), None);
        now += MEMORY;
        tries.wrong(source(1), now);
        assert_eq!(tries.wait(source(1), now), None, "it begins anew");
        for _ in 0..5 {
            tries.wrong(source(1), now);
        }
        tries.right(source(1));
        assert_eq!(tries.wait(source(1), now), None);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes() {
        let (mut tries, begin) = (Tries::default(), Instant::now());
        for number in 0..5_000 {
            tries.wrong(source(number), begin + Duration::from_millis(number.into()));
        }
        assert_eq!(tries.0.len(), MOST);
        assert!(tries.0.contains_key(&source(4_999)) && !tries.0.contains_key(&source(0)));
    }
}
