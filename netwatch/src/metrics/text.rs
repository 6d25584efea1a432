//! Prometheus's text format 0.0.4, by its own library.

use prometheus::{
    TextEncoder,
    proto::{
        Bucket, Counter, Gauge, Histogram, LabelPair, Metric as Series, MetricFamily, MetricType,
    },
};

use super::{
    catalogue::Kind,
    family::{Distribution, Family, LINE, Value, to_f64},
};

/// The encoder refused a family: a defect of netwatch, not of the host.
#[derive(Debug, thiserror::Error)]
#[error("cannot encode the metrics: {0}; please report this")]
pub struct RenderError(#[from] prometheus::Error);

/// All families as text. Exemplars are left out: the format has none.
pub(super) fn text(families: Vec<Family>) -> Result<String, RenderError> {
    let mut text = String::with_capacity(LINE * families.iter().map(Family::len).sum::<usize>());
    // One after the other: the library's form of a large one takes ten times the memory of its text.
    for one in families {
        TextEncoder::new().encode_utf8(&[family(one)], &mut text)?;
    }
    Ok(text)
}

fn family(Family { metric, labels: names, series }: Family) -> MetricFamily {
    let entry = metric.entry();
    let mut family = MetricFamily::default();
    family.set_name(entry.name.to_owned());
    family.set_help(entry.help.to_owned());
    family.set_field_type(match entry.kind {
        Kind::Counter => MetricType::COUNTER,
        Kind::Gauge => MetricType::GAUGE,
        Kind::Histogram => MetricType::HISTOGRAM,
    });
    let series = series.into_iter().map(|(labels, value)| {
        let pairs = names.iter().zip(labels.values());
        one(entry.kind, pairs.map(|(name, value)| label(name, value)).collect(), value)
    });
    family.set_metric(series.collect());
    family
}

fn one(kind: Kind, labels: Vec<LabelPair>, value: Value) -> Series {
    let mut series = Series::from_label(labels);
    let number = match value {
        Value::Distribution(distribution) => {
            series.set_histogram(histogram(&distribution));
            return series;
        }
        // The library knows only doubles: above 2^53 this is the nearest one. Prometheus would round to the same when it
        // reads the integer that OpenMetrics has here.
        Value::Count(count, _) => to_f64(count),
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

/// Counts are integers here, and become doubles in the encoder. The bucket without a bound it adds by itself.
fn histogram(distribution: &Distribution) -> Histogram {
    let mut histogram = Histogram::default();
    histogram.set_sample_sum(distribution.sum);
    histogram.set_sample_count(distribution.count);
    let buckets = distribution.buckets.iter();
    histogram.set_bucket(buckets.map(|&(bound, cumulative)| bucket(bound, cumulative)).collect());
    histogram
}

fn bucket(bound: f64, cumulative: u64) -> Bucket {
    let mut bucket = Bucket::default();
    bucket.set_upper_bound(bound);
    bucket.set_cumulative_count(cumulative);
    bucket
}

fn label(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}
