//! A scrape: the text format of Prometheus, taken apart.

use std::collections::BTreeMap;

use super::seen;

/// One line of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// All lines of one scrape.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    pub series: Vec<Series>,
}

/// Labels that a series has to have; it may have others.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

impl Metrics {
    /// What an agent has answered.
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let series: Vec<_> = lines.map(series).collect();
        seen::note(&series);
        Self { series }
    }

    /// All series of a metric with these labels.
    pub fn find(&self, name: &str, labels: Labels<'_>) -> impl Iterator<Item = &Series> {
        self.series.iter().filter(move |series| {
            let has = |(key, value): &(&str, &str)| {
                series.labels.get(*key).is_some_and(|known| known == value)
            };
            series.name == name && labels.iter().all(has)
        })
    }

    pub fn has(&self, name: &str, labels: Labels<'_>) -> bool {
        self.find(name, labels).next().is_some()
    }

    /// The value of the only series with these labels.
    pub fn get(&self, name: &str, labels: Labels<'_>) -> Option<f64> {
        let mut all = self.find(name, labels);
        let value = all.next()?.value;
        assert!(all.next().is_none(), "more than one {name} with {labels:?}");
        Some(value)
    }

    /// The same, where it has to be there.
    pub fn value(&self, name: &str, labels: Labels<'_>) -> f64 {
        self.get(name, labels).unwrap_or_else(|| panic!("no {name} with {labels:?}"))
    }

    /// A count. Counts in a scrape are exact up to 2^53.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be a whole number that fits"
    )]
    pub fn count(&self, name: &str, labels: Labels<'_>) -> u64 {
        whole(name, self.value(name, labels)) as u64
    }

    /// All series with these labels added up.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be a whole number that fits"
    )]
    pub fn sum(&self, name: &str, labels: Labels<'_>) -> u64 {
        whole(name, self.find(name, labels).map(|series| series.value).sum()) as u64
    }
}

fn whole(name: &str, value: f64) -> f64 {
    assert!(
        value.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&value),
        "{name} is {value}, no exact count"
    );
    value
}

/// `name{key="value",…} 1.5`, with the escapes of the format.
fn series(line: &str) -> Series {
    let Some((name, rest)) = line.split_once('{') else {
        let (name, value) = line.split_once(' ').expect("a name and a value");
        let value = value.trim().parse().expect("a number");
        return Series { name: name.into(), labels: BTreeMap::new(), value };
    };
    let mut labels = BTreeMap::new();
    let mut rest = rest;
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(value) = rest.strip_prefix('}') {
            let value = value.trim().parse().expect("a number");
            return Series { name: name.into(), labels, value };
        }
        let (key, quoted) = rest.split_once("=\"").expect("a label");
        let (value, end) = unquote(quoted);
        labels.insert(key.into(), value);
        rest = &quoted[end..];
    }
}

/// The text before the closing quote, and where what follows the quote begins.
fn unquote(text: &str) -> (String, usize) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (value, at + 1),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, other)) => value.push(other),
                None => break,
            },
            other => value.push(other),
        }
    }
    panic!("a label without an end: {text}")
}
