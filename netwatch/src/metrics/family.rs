//! Series under construction: adds up what has the same labels, and makes label values safe.

use std::collections::BTreeMap;

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric as Series, MetricFamily, MetricType,
};

use super::catalogue::{Kind, Metric};

/// Longest label value, in characters. Docker labels have no limit of their own.
const MAX_VALUE: usize = 200;

/// A figure; counts stay integers until the end, so that sums are exact.
#[derive(Clone, Debug)]
enum Value {
    Count(u64),
    Real(f64),
    Distribution(Distribution),
}

/// Cumulative buckets, sum and count.
#[derive(Clone, Debug)]
struct Distribution {
    buckets: Vec<(f64, u64)>,
    sum: f64,
    count: u64,
}

/// All series of a scrape. Sorted by label values: two scrapes of the same snapshot are equal.
pub(super) struct Families {
    series: Vec<BTreeMap<Vec<String>, Value>>,
}

impl Families {
    /// No series yet.
    pub(super) fn new() -> Self {
        Self { series: vec![BTreeMap::new(); Metric::ALL.len()] }
    }

    /// Adds a count to the series with these labels.
    pub(super) fn add<const N: usize>(&mut self, metric: Metric, labels: [&str; N], count: u64) {
        let slot = self.slot(metric, labels);
        *slot = match slot {
            Value::Count(sum) => Value::Count(sum.saturating_add(count)),
            Value::Real(_) | Value::Distribution(_) => Value::Count(count),
        };
    }

    /// Adds a real number, such as seconds, to the series with these labels.
    pub(super) fn add_real<const N: usize>(
        &mut self,
        metric: Metric,
        labels: [&str; N],
        amount: f64,
    ) {
        let slot = self.slot(metric, labels);
        *slot = match slot {
            Value::Real(sum) => Value::Real(*sum + amount),
            Value::Count(_) | Value::Distribution(_) => Value::Real(amount),
        };
    }

    /// A series that is 1 however often it is named.
    pub(super) fn info<const N: usize>(&mut self, metric: Metric, labels: [&str; N]) {
        *self.slot(metric, labels) = Value::Count(1);
    }

    /// Adds a histogram, as cumulative buckets, to the series with these labels. All of a metric have the same bounds.
    pub(super) fn histogram<const N: usize>(
        &mut self,
        metric: Metric,
        labels: [&str; N],
        buckets: &[(f64, u64)],
        sum: f64,
        count: u64,
    ) {
        let slot = self.slot(metric, labels);
        if let Value::Distribution(distribution) = slot {
            distribution.sum += sum;
            distribution.count = distribution.count.saturating_add(count);
            for (have, (_, more)) in distribution.buckets.iter_mut().zip(buckets) {
                have.1 = have.1.saturating_add(*more);
            }
        } else {
            *slot = Value::Distribution(Distribution { buckets: buckets.to_vec(), sum, count });
        }
    }

    /// The families that have series, in the order of the catalogue.
    pub(super) fn into_families(self) -> Vec<MetricFamily> {
        Metric::ALL
            .iter()
            .zip(self.series)
            .filter(|(_, series)| !series.is_empty())
            .map(|(&metric, series)| family(metric, series))
            .collect()
    }

    fn slot<const N: usize>(&mut self, metric: Metric, labels: [&str; N]) -> &mut Value {
        debug_assert_eq!(N, metric.entry().labels.len(), "{metric:?}");
        let key = labels.iter().map(|value| safe(value)).collect();
        self.series[metric as usize].entry(key).or_insert(Value::Count(0))
    }
}

fn family(metric: Metric, series: BTreeMap<Vec<String>, Value>) -> MetricFamily {
    let entry = metric.entry();
    let mut family = MetricFamily::default();
    family.set_name(entry.name.to_owned());
    family.set_help(entry.help.to_owned());
    family.set_field_type(match entry.kind {
        Kind::Counter => MetricType::COUNTER,
        Kind::Gauge => MetricType::GAUGE,
        Kind::Histogram => MetricType::HISTOGRAM,
    });
    family.set_metric(
        series
            .into_iter()
            .map(|(values, value)| {
                let labels = entry
                    .labels
                    .iter()
                    .zip(values)
                    .map(|(name, value)| label(name, value))
                    .collect();
                one(entry.kind, labels, value)
            })
            .collect(),
    );
    family
}

fn one(kind: Kind, labels: Vec<LabelPair>, value: Value) -> Series {
    let mut series = Series::from_label(labels);
    let number = match value {
        Value::Distribution(distribution) => {
            series.set_histogram(histogram(&distribution));
            return series;
        }
        Value::Count(count) => to_f64(count),
        Value::Real(number) => number,
    };
    if kind == Kind::Counter {
        let mut counter = Counter::default();
        counter.set_value(number);
        series.set_counter(counter);
    } else {
        let mut gauge = Gauge::default();
        gauge.set_value(number);
        series.set_gauge(gauge);
    }
    series
}

fn histogram(distribution: &Distribution) -> Histogram {
    let mut histogram = Histogram::default();
    histogram.set_sample_sum(distribution.sum);
    histogram.set_sample_count(distribution.count);
    let buckets = distribution.buckets.iter();
    histogram.set_bucket(buckets.map(|&(bound, cumulative)| bucket(bound, cumulative)).collect());
    histogram
}

#[expect(
    clippy::cast_precision_loss,
    reason = "Prometheus knows only doubles: exact up to 2^53, 9 PB"
)]
pub(super) fn to_f64(count: u64) -> f64 {
    count as f64
}

fn bucket(bound: f64, cumulative: u64) -> Bucket {
    let mut bucket = Bucket::default();
    bucket.set_upper_bound(bound);
    bucket.set_cumulative_count(cumulative);
    bucket
}

fn label(name: &str, value: String) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value);
    pair
}

/// A value that is one value. The encoder escapes quotes, backslashes and newlines; other control characters it writes
/// as they are. Prometheus takes them, but the terminal of whoever looks with curl obeys them. So these become U+FFFD.
fn safe(value: &str) -> String {
    if value.len() <= MAX_VALUE && !value.chars().any(char::is_control) {
        return value.to_owned();
    }
    let mut safe: String = value
        .chars()
        .take(MAX_VALUE)
        .map(|c| if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    if value.chars().nth(MAX_VALUE).is_some() {
        safe.push('…');
    }
    safe
}
