//! `rate_limit`: a bucket of requests that fills by one each interval.

use std::time::{Duration, Instant};

use super::settings::Rate;

/// What is left in the bucket.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    rate: Option<Rate>,
    /// When it will be full again, if nobody asks.
    full: Option<Instant>,
}

impl Bucket {
    /// One request, or how long until there may be one.
    pub(super) fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
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
}
