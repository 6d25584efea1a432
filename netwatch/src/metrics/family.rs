//! Series under construction: adds up what has the same labels, and makes label values safe.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    catalogue::Metric,
    choice::{Known, LabelChoice},
};
use crate::model::{Exemplar, TimeHistogram};

/// Longest label value, in characters. Docker labels have no limit of their own.
const MAX_VALUE: usize = 200;

/// What a line of text takes, roughly.
pub(super) const LINE: usize = 100;

/// A figure; counts stay integers until the end, so that sums are exact.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// With a flow that it is about, if one is known.
    Count(u64, Option<Exemplar>),
    Real(f64),
    Distribution(Distribution),
}

/// Cumulative buckets, sum and count.
#[derive(Clone, Debug)]
pub(super) struct Distribution {
    pub(super) buckets: Vec<(f64, u64)>,
    pub(super) sum: f64,
    pub(super) count: u64,
    /// Of each bucket, the one beyond all bounds last; may be fewer.
    pub(super) exemplars: Vec<Option<Exemplar>>,
}

/// A metric with its series.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) metric: Metric,
    /// Names of the labels.
    pub(super) labels: Vec<&'static str>,
    pub(super) series: BTreeMap<Labels, Value>,
}

/// The values of a series' labels, in the order of their names. There are very many: in one text they are one piece of
/// memory, and sorted as they would be one by one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Labels(Box<str>);

/// Between two values; in none of them, and before whatever is.
const BETWEEN: char = '\0';

impl Labels {
    fn new(values: &[&str]) -> Self {
        let mut text = String::with_capacity(values.iter().map(|value| value.len() + 1).sum());
        for (place, value) in values.iter().enumerate() {
            if place > 0 {
                text.push(BETWEEN);
            }
            push_safe(&mut text, value);
        }
        Self(text.into())
    }

    /// One by one. Of a metric without labels there is one, which is empty.
    pub(super) fn values(&self) -> impl Iterator<Item = &str> {
        self.0.split(BETWEEN)
    }
}

impl Family {
    /// Lines that it takes.
    pub(super) fn len(&self) -> usize {
        let lines = |value: &Value| match value {
            // With the bucket without a bound, sum and count.
            Value::Distribution(distribution) => distribution.buckets.len() + 3,
            Value::Count(..) | Value::Real(_) => 1,
        };
        self.series.values().map(lines).sum()
    }
}

/// All series of a scrape. Sorted by label values: two scrapes of the same snapshot are equal.
pub(super) struct Families {
    series: Vec<BTreeMap<Labels, Value>>,
    choice: LabelChoice,
    known: Known,
    /// How many series that are always 1 a metric may have.
    most: HashMap<Metric, usize>,
}

impl Families {
    /// No series yet. `known`: what may be said of containers, by their names.
    pub(super) fn new(choice: &LabelChoice, known: &Known) -> Self {
        Self {
            series: vec![BTreeMap::new(); Metric::ALL.len()],
            choice: choice.clone(),
            known: Arc::clone(known),
            most: HashMap::new(),
        }
    }

    /// No more than so many series that are always 1.
    pub(super) fn limit(&mut self, metric: Metric, most: usize) {
        self.most.insert(metric, most);
    }

    /// Adds a count to the series with these labels.
    pub(super) fn add<const N: usize>(&mut self, metric: Metric, labels: [&str; N], count: u64) {
        let slot = self.slot(metric, labels);
        *slot = match slot {
            Value::Count(sum, exemplar) => Value::Count(sum.saturating_add(count), *exemplar),
            Value::Real(_) | Value::Distribution(_) => Value::Count(count, None),
        };
    }

    /// Names a flow that a count is about.
    pub(super) fn exemplify<const N: usize>(
        &mut self,
        metric: Metric,
        labels: [&str; N],
        with: Exemplar,
    ) {
        if let Value::Count(_, exemplar) = self.slot(metric, labels) {
            *exemplar = Some(with);
        }
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
            Value::Count(..) | Value::Distribution(_) => Value::Real(amount),
        };
    }

    /// A series that is 1 however often it is named, as long as there is room for it.
    pub(super) fn info<const N: usize>(&mut self, metric: Metric, labels: [&str; N]) {
        if self.most.get(&metric).is_some_and(|most| self.series[metric as usize].len() >= *most) {
            return;
        }
        *self.slot(metric, labels) = Value::Count(1, None);
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
            let exemplars = Vec::new();
            *slot = Value::Distribution(Distribution {
                buckets: buckets.to_vec(),
                sum,
                count,
                exemplars,
            });
        }
    }

    /// Adds times, with the flows that they are of.
    pub(super) fn times<const N: usize>(
        &mut self,
        metric: Metric,
        labels: [&str; N],
        times: &TimeHistogram,
    ) {
        let buckets: Vec<_> = times.cumulative().collect();
        self.histogram(metric, labels, &buckets, times.seconds(), times.count());
        if let Value::Distribution(distribution) = self.slot(metric, labels) {
            distribution.exemplars = times.exemplars().to_vec();
        }
    }

    /// The families that have series, in the order of the catalogue.
    pub(super) fn into_families(self) -> Vec<Family> {
        let all = Metric::ALL.iter().zip(self.series);
        all.filter(|(_, series)| !series.is_empty())
            .map(|(&metric, series)| {
                let labels = self.choice.names(&metric.entry());
                Family { metric, labels, series }
            })
            .collect()
    }

    fn slot<const N: usize>(&mut self, metric: Metric, labels: [&str; N]) -> &mut Value {
        let entry = metric.entry();
        debug_assert_eq!(N, entry.labels.len(), "{metric:?}");
        let labels = if self.choice.is_none() {
            Labels::new(&labels)
        } else {
            Labels::new(&self.choice.values(&entry, &labels, &self.known))
        };
        self.series[metric as usize].entry(labels).or_insert(Value::Count(0, None))
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "Prometheus knows only doubles: exact up to 2^53, 9 PB"
)]
pub(super) fn to_f64(count: u64) -> f64 {
    count as f64
}

/// A value that is one value. The encoder escapes quotes, backslashes and newlines; other control characters it writes
/// as they are. Prometheus takes them, but the terminal of whoever looks with curl obeys them. So these become U+FFFD.
fn push_safe(text: &mut String, value: &str) {
    if value.len() <= MAX_VALUE && !value.chars().any(char::is_control) {
        text.push_str(value);
        return;
    }
    let safe = |c: char| if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c };
    text.extend(value.chars().take(MAX_VALUE).map(safe));
    if value.chars().nth(MAX_VALUE).is_some() {
        text.push('…');
    }
}
