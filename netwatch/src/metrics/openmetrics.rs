//! OpenMetrics 1.0, which has units and exemplars. Written here: the Prometheus library does not know it.

use std::fmt::Write as _;

use super::{
    catalogue::{Entry, Kind},
    family::{Distribution, Family, LINE, Labels, Value},
};
use crate::model::Exemplar;

/// What a counter's samples end in, and its family does not.
const TOTAL: &str = "_total";

/// All families as text.
pub(super) fn text(families: &[Family]) -> String {
    let lines: usize = families.iter().map(Family::len).sum();
    let mut text = String::with_capacity(LINE * lines);
    for family in families {
        let (entry, names) = (family.metric.entry(), family.labels.as_slice());
        Writer { text: &mut text, entry, names }.family(family);
    }
    text.push_str("# EOF\n");
    text
}

struct Writer<'a> {
    text: &'a mut String,
    entry: Entry,
    /// Names of the labels.
    names: &'a [&'static str],
}

impl Writer<'_> {
    fn family(&mut self, family: &Family) {
        let Entry { name, kind, .. } = self.entry;
        let of = if kind == Kind::Counter { name.trim_end_matches(TOTAL) } else { name };
        self.push(&["# HELP ", of, " "]);
        self.escape(self.entry.help);
        self.push(&["\n# TYPE ", of, " ", kind.name(), "\n"]);
        if let Some(unit) = self.entry.unit() {
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

    fn histogram(&mut self, labels: &Labels, distribution: &Distribution) {
        let Distribution { buckets, sum, count, exemplars } = distribution;
        let mut exemplars = exemplars.iter();
        for (bound, cumulative) in buckets {
            let mut bound = bound.to_string();
            // A number with a fraction, always: the canonical form.
            if !bound.contains('.') {
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
    fn name(&mut self, suffix: &str, labels: &Labels, bound: Option<&str>) {
        self.push(&[self.entry.name, suffix]);
        let named = self.names.iter().copied().zip(labels.values());
        let mut between = '{';
        for (name, value) in named.chain(bound.map(|bound| ("le", bound))) {
            self.text.push(between);
            self.push(&[name, "=\""]);
            self.escape(value);
            self.text.push('"');
            between = ',';
        }
        if between == ',' {
            self.text.push('}');
        }
    }

    /// What may follow a value.
    fn end(&mut self, exemplar: Option<&Exemplar>) {
        if let Some(exemplar) = exemplar {
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

    fn escape(&mut self, text: &str) {
        if !text.contains(['\\', '\n', '"']) {
            self.text.push_str(text);
            return;
        }
        for c in text.chars() {
            match c {
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '"' => self.text.push_str("\\\""),
                c => self.text.push(c),
            }
        }
    }
}
