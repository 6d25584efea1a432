//! `rate_limit`: a bucket of requests for each source, that fills by one each interval.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{settings::Rate, source::Source};

/// Sources that are remembered.
const MOST: usize = 1_024;

/// One source's requests do not count against another's.
#[derive(Debug, Default)]
pub(super) struct Buckets(HashMap<Source, Bucket>);

impl Buckets {
    /// One request, or how long until there may be one.
    pub(super) fn take(
        &mut self,
        source: Source,
        rate: Rate,
        now: Instant,
    ) -> Result<(), Duration> {
        if self.0.len() >= MOST && !self.0.contains_key(&source) {
            // Full ones say nothing; where there is none, that which will be full first says least.
            self.0.retain(|_, bucket| bucket.full.is_some_and(|full| full > now));
            if self.0.len() >= MOST {
                let first = self.0.iter().min_by_key(|(_, bucket)| bucket.full);
                first.map(|(source, _)| *source).map(|source| self.0.remove(&source));
            }
        }
        self.0.entry(source).or_default().take(rate, now)
    }
}

/// What is left in the bucket.
#[derive(Debug, Default)]
struct Bucket {
    rate: Option<Rate>,
    /// When it will be full again, if nobody asks.
    full: Option<Instant>,
}

impl Bucket {
    /// One request, or how long until there may be one.
    fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        if self.rate != Some(rate) {
            *self = Self { rate: Some(rate), full: None };
        }
        let begin = self.full.filter(|full| *full > now).unwrap_or(now);
        let full = begin + rate.interval;
        let room = now + rate.interval.saturating_mul(rate.burst);
        if full > room {
            return Err(full - room);
        }
        self.full = Some(full);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_at_once_as_it_holds_and_then_one_each_interval() {
        let second = Duration::from_secs(1);
        let rate = Rate { burst: 3, interval: second };
        let (mut bucket, mut now) = (Bucket::default(), Instant::now());
        for _ in 0..3 {
            assert_eq!(bucket.take(rate, now), Ok(()));
        }
        assert_eq!(bucket.take(rate, now), Err(second));
        now += second / 4;
        assert_eq!(bucket.take(rate, now), Err(second * 3 / 4), "a refusal costs nothing");
        now += second * 3 / 4;
        assert_eq!(bucket.take(rate, now), Ok(()));
        assert_eq!(bucket.take(rate, now), Err(second));
        now += second * 100;
        for _ in 0..3 {
            assert_eq!(bucket.take(rate, now), Ok(()));
        }
        assert!(bucket.take(rate, now).is_err());
        assert_eq!(bucket.take(Rate { burst: 1, interval: second }, now), Ok(()), "another rate");
        assert!(bucket.take(Rate { burst: 0, interval: second }, now).is_err(), "as in Go: none");
    }

    #[test]
    fn each_source_has_its_own_and_there_are_not_too_many() {
        let from = |number: u32| Source::from(std::net::IpAddr::from(number.to_be_bytes()));
        let rate = Rate { burst: 1, interval: Duration::from_secs(1) };
        let (mut buckets, begin) = (Buckets::default(), Instant::now());
        for number in 0..2_000 {
            let now = begin + Duration::from_micros(number.into());
            assert_eq!(buckets.take(from(number), rate, now), Ok(()));
            assert!(buckets.take(from(number), rate, now).is_err());
        }
        assert_eq!(buckets.0.len(), MOST);
        assert!(buckets.0.contains_key(&from(1_999)) && !buckets.0.contains_key(&from(0)));
        let later = begin + Duration::from_secs(2);
        assert_eq!(buckets.take(from(5_000), rate, later), Ok(()));
        assert_eq!(buckets.0.len(), 1, "the full ones are forgotten");
    }
}
