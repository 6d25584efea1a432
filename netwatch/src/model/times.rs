//! How long things took, and flows that are an example of it.

use std::time::Duration;

use super::WallTime;

/// A flow for which a figure stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar {
    /// Number of the flow.
    pub flow: u64,
    /// Its own figure.
    pub value: f64,
    /// When it was.
    pub time: WallTime,
}

/// Times of something that happens on a host or near it: from 10 µs to 10 s.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TimeHistogram {
    counts: [u64; Self::BOUNDS.len() + 1],
    sum: Duration,
    exemplars: [Option<Exemplar>; Self::BOUNDS.len() + 1],
}

impl TimeHistogram {
    /// Upper bounds in seconds: three in each decade.
    pub const BOUNDS: [f64; 19] = [
        0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01,
        0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    ];

    /// Adds one, with the flow that it was of if that is known.
    pub fn add(&mut self, took: Duration, of: Option<(u64, WallTime)>) {
        let seconds = took.as_secs_f64();
        let bucket = Self::BOUNDS.partition_point(|bound| *bound < seconds);
        self.counts[bucket] += 1;
        self.sum = self.sum.saturating_add(took);
        if let Some((flow, time)) = of {
            self.exemplars[bucket] = Some(Exemplar { flow, value: seconds, time });
        }
    }

    /// How many took at most as long as each bound.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        Self::BOUNDS.into_iter().zip(self.counts).scan(0, |sum, (bound, count)| {
            *sum += count;
            Some((bound, *sum))
        })
    }

    /// The latest example of each bucket, that beyond all bounds last.
    pub fn exemplars(&self) -> &[Option<Exemplar>] {
        &self.exemplars
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All times together, in seconds.
    pub fn seconds(&self) -> f64 {
        self.sum.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_in_its_bucket_with_its_flow() {
        let mut histogram = TimeHistogram::default();
        let us = Duration::from_micros;
        for (number, took) in
            [us(0), us(10), us(11), us(10_000_000), us(10_000_001)].into_iter().enumerate()
        {
            histogram.add(took, Some((number as u64, WallTime(1))));
        }
        let cumulative: Vec<u64> = histogram.cumulative().map(|(_, count)| count).collect();
        assert_eq!((cumulative[0], cumulative[1], cumulative[17], cumulative[18]), (2, 3, 3, 4));
        assert_eq!(histogram.count(), 5);
        assert!((histogram.seconds() - 20.000_022).abs() < 1e-9);
        let flows: Vec<u64> = histogram.exemplars().iter().flatten().map(|one| one.flow).collect();
        assert_eq!(flows, [1, 2, 3, 4], "the latest of each");
        assert!(TimeHistogram::BOUNDS.is_sorted());
    }
}
