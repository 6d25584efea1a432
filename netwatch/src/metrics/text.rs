//! A scrape's text: Prometheus's format 0.0.4, and OpenMetrics 1.0, which has units and exemplars.
//!
//! Written here and not by a library: those that there are know only one of the two, and build all series once more to do so.

use std::fmt::Write as _;

use super::{
    Form,
    catalogue::{Entry, Kind},
    family::{Distribution, Family, Value},
};
use crate::model::Exemplar;

/// What a counter's samples end in, and its family in OpenMetrics does not.
const TOTAL: &str = "_total";
/// What a series takes, roughly.
const SERIES: usize = 100;

/// All families as text.
pub(super) fn text(families: &[Family], form: Form) -> String {
    let series = families.iter().map(Family::len).sum::<usize>();
    let mut text = String::with_capacity(SERIES * series);
    for family in families {
        Writer { text: &mut text, entry: family.metric.entry(), form }.family(family);
    }
    if form == Form::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

struct Writer<'a> {
    text: &'a mut String,
    entry: Entry,
    form: Form,
}

impl Writer<'_> {
    fn family(&mut self, family: &Family) {
        let Entry { name, kind, help, .. } = self.entry;
        let is_open = self.form == Form::OpenMetrics;
        let of = if is_open && kind == Kind::Counter { name.trim_end_matches(TOTAL) } else { name };
        self.push(&["# HELP ", of, " "]);
        self.escape(help, is_open);
        self.push(&["\n# TYPE ", of, " ", kind.name(), "\n"]);
        if let Some(unit) = self.entry.unit().filter(|_| is_open) {
            self.push(&["# UNIT ", of, " ", unit, "\n"]);
        }
        for (labels, value) in &family.series {
            match value {
                Value::Count(count, exemplar) => {
                    self.name("", labels, None);
                    let _ = write!(self.text, " {count}");
                    self.end(exemplar.as_ref().filter(|_| kind == Kind::Counter));
                }
                Value::Real(number) => {
                    self.name("", labels, None);
                    let _ = write!(self.text, " {number}");
                    self.end(None);
                }
                Value::Distribution(distribution) => self.histogram(labels, distribution),
            }
        }
    }

    fn histogram(&mut self, labels: &[String], distribution: &Distribution) {
        let Distribution { buckets, sum, count, exemplars } = distribution;
        let mut exemplars = exemplars.iter();
        for (bound, cumulative) in buckets {
            let mut bound = bound.to_string();
            // A number with a fraction, always: the canonical form of OpenMetrics.
            if self.form == Form::OpenMetrics && !bound.contains('.') {
                bound.push_str(".0");
            }
            self.name("_bucket", labels, Some(&bound));
            let _ = write!(self.text, " {cumulative}");
            self.end(exemplars.next().and_then(Option::as_ref));
        }
        self.name("_bucket", labels, Some("+Inf"));
        let _ = write!(self.text, " {count}");
        self.end(exemplars.next().and_then(Option::as_ref));
        self.name("_sum", labels, None);
        let _ = write!(self.text, " {sum}");
        self.end(None);
        self.name("_count", labels, None);
        let _ = write!(self.text, " {count}");
        self.end(None);
    }

    /// Name and labels of a sample.
    fn name(&mut self, suffix: &str, labels: &[String], bound: Option<&str>) {
        self.push(&[self.entry.name, suffix]);
        let named = self.entry.labels.iter().copied().zip(labels.iter().map(String::as_str));
        let mut between = '{';
        for (name, value) in named.chain(bound.map(|bound| ("le", bound))) {
            self.text.push(between);
            self.push(&[name, "=\""]);
            self.escape(value, true);
            self.text.push('"');
            between = ',';
        }
        if between == ',' {
            self.text.push('}');
        }
    }

    /// What may follow a value.
    fn end(&mut self, exemplar: Option<&Exemplar>) {
        if let Some(exemplar) = exemplar.filter(|_| self.form == Form::OpenMetrics) {
            let Exemplar { flow, value, time } = exemplar;
            let ms = time.0 / 1_000_000;
            let _ = write!(
                self.text,
                " # {{flow_id=\"{flow}\"}} {value} {}.{:03}",
                ms / 1_000,
                ms % 1_000
            );
        }
        self.text.push('\n');
    }

    fn push(&mut self, parts: &[&str]) {
        self.text.extend(parts.iter().copied());
    }

    /// Quotes stay as they are where nothing is quoted: in the help text of Prometheus's format.
    fn escape(&mut self, text: &str, quotes: bool) {
        for part in text.split_inclusive(['\\', '\n', '"']) {
            let (plain, escaped) = match part.char_indices().next_back() {
                Some((end, '\\')) => (&part[..end], "\\\\"),
                Some((end, '\n')) => (&part[..end], "\\n"),
                Some((end, '"')) if quotes => (&part[..end], "\\\""),
                _ => (part, ""),
            };
            self.push(&[plain, escaped]);
        }
    }
}
