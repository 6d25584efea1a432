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
}
