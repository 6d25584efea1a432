//! What is said of repeated measurements.

use std::ops::Sub;

use serde::Serialize;

/// Repeated measurements of a time. What else runs on the machine only ever adds to it, above all by taking caches away,
/// so the figure is the first decile: what the tenth that was disturbed least stayed below.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// A tenth is below: the figure.
    pub decile: f64,
    /// Half is below: on a quiet machine almost the same.
    pub median: f64,
}

impl Spread {
    /// Of at least one measurement; of none, both are "not a number".
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Self { decile: percentile(&values, 10), median: percentile(&values, 50) }
    }
}

impl Sub for Spread {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { decile: self.decile - other.decile, median: self.median - other.median }
    }
}

/// The measurement below which this many in a hundred of the sorted ones lie, by the nearest rank.
pub fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    sorted[(last * percent.min(100) + 50) / 100]
}

/// How much a rate is with something, in parts of what it is without: of pairs measured one right after the other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratio {
    /// The geometric mean over the pairs.
    pub mean: f64,
    /// Below, the truth lies with a probability of 2.5 %.
    pub low: f64,
    /// Above, the same.
    pub high: f64,
    /// Number of pairs.
    pub pairs: usize,
}

/// Student's t for a two-sided confidence of 95 %, by degrees of freedom from 1 on.
const STUDENT: [f64; 20] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
];
/// The same for more.
const NORMAL: f64 = 1.96;

impl Ratio {
    /// Of at least two pairs of (without, with); of fewer, the bounds say nothing.
    #[expect(clippy::cast_precision_loss, reason = "a handful of pairs")]
    pub fn of(pairs: &[(f64, f64)]) -> Self {
        let logs: Vec<f64> = pairs.iter().map(|(without, with)| (with / without).ln()).collect();
        let count = logs.len() as f64;
        let mean = logs.iter().sum::<f64>() / count;
        let squares: f64 = logs.iter().map(|log| (log - mean).powi(2)).sum();
        let freedom = logs.len().saturating_sub(1);
        let half = match freedom.checked_sub(1) {
            Some(row) => {
                let t = STUDENT.get(row).copied().unwrap_or(NORMAL);
                t * (squares / freedom as f64 / count).sqrt()
            }
            None => f64::INFINITY,
        };
        let [mean, low, high] = [mean, mean - half, mean + half].map(f64::exp);
        Self { mean, low, high, pairs: logs.len() }
    }

    /// Half the width of the interval.
    pub fn uncertainty(&self) -> f64 {
        (self.high - self.low) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measurements() {
        let values: Vec<f64> = (0..=40).map(f64::from).collect();
        let at = |percent| percentile(&values, percent).to_string();
        assert_eq!([at(0), at(10), at(50), at(100)], ["0", "4", "20", "40"]);
        assert_eq!(Spread::of([2.0, 1.0]).decile.to_string(), "1");
        assert!(Spread::of([]).median.is_nan());
    }

    #[test]
    fn a_ratio_has_the_interval_of_its_pairs() {
        let ratio = Ratio::of(&[(100.0, 97.0), (200.0, 196.0), (50.0, 48.0)]);
        // By hand: logs -0.030459, -0.020203, -0.040822; mean -0.030495, deviation 0.010310, t(2) 4.303.
        assert!((ratio.mean - 0.969_966).abs() < 1e-5, "{ratio:?}");
        assert!(
            (ratio.low - 0.945_435).abs() < 1e-4 && (ratio.high - 0.995_134).abs() < 1e-4,
            "{ratio:?}"
        );
        assert!(Ratio::of(&[(1.0, 1.0)]).high.is_infinite());
    }
}
