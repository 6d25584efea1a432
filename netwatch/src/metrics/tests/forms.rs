//! Both forms, held against a reader of them that is strict and knows nothing of the writers.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A sample: name, labels, value, and the exemplar if it has one.
#[derive(Debug, PartialEq)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
    exemplar: Option<(BTreeMap<String, String>, f64, f64)>,
}

/// What stands below a HELP; a counter's name is without `_total`, as OpenMetrics has it.
#[derive(Debug, PartialEq)]
struct Read {
    name: String,
    help: String,
    kind: String,
    samples: Vec<Sample>,
}

/// The families of a text, in its order. Fails on whatever the specification of its form does not allow.
fn read(text: &str, form: Form) -> Vec<Read> {
    let is_open = form == Form::OpenMetrics;
    let text = if is_open { text.strip_suffix("# EOF\n").expect("an end") } else { text };
    let mut families: Vec<Read> = Vec::new();
    for line in text.strip_suffix('\n').expect("a last line").split('\n') {
        assert!(!line.is_empty() && line != "# EOF");
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.splitn(3, ' ');
            let (what, name, rest) =
                (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
            if what == "HELP" {
                assert!(families.iter().all(|family| family.name != name), "{name} is there twice");
                families.push(Read {
                    name: name.to_owned(),
                    help: help(rest, is_open),
                    kind: String::new(),
                    samples: Vec::new(),
                });
                continue;
            }
            let family = families.last_mut().unwrap();
            assert!(name == family.name && family.samples.is_empty(), "{line}");
            match what {
                "TYPE" => {
                    assert!(["counter", "gauge", "histogram"].contains(&rest), "{line}");
                    assert_eq!(family.kind, "", "{line}");
                    family.kind = rest.to_owned();
                }
                "UNIT" => assert!(is_open && name.ends_with(&format!("_{rest}")), "{line}"),
                _ => panic!("{line}"),
            }
            continue;
        }
        let sample = sample(line);
        let family = families.last_mut().unwrap();
        let suffixes: &[&str] = match family.kind.as_str() {
            "counter" if is_open => &["_total"],
            "counter" | "gauge" => &[""],
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => panic!("{line} without a type"),
        };
        let suffix = sample
            .name
            .strip_prefix(&family.name)
            .unwrap_or_else(|| panic!("{line} below {}", family.name));
        assert!(suffixes.contains(&suffix), "{line} in a {}", family.kind);
        if let Some((labels, value, _)) = &sample.exemplar {
            assert!(is_open && ["_total", "_bucket"].contains(&suffix), "{line}");
            let runes: usize = labels
                .iter()
                .map(|(name, value)| name.chars().count() + value.chars().count())
                .sum();
            assert!(runes <= 128, "{line}");
            let bound = sample.labels.get("le").map(|bound| bound.parse().unwrap_or(f64::INFINITY));
            assert!(bound.is_none_or(|bound: f64| *value <= bound), "{line}");
        }
        family.samples.push(sample);
    }
    for family in families.iter_mut().filter(|family| !is_open && family.kind == "counter") {
        family.name = family.name.strip_suffix("_total").unwrap().to_owned();
    }
    families
}

/// A help text without its escapes; quotes are escaped in OpenMetrics only.
fn help(text: &str, is_open: bool) -> String {
    let (mut help, mut chars) = (String::new(), text.chars());
    while let Some(c) = chars.next() {
        assert!(!is_open || c != '"', "{text}");
        help.push(match c {
            '\\' => match chars.next().unwrap() {
                'n' => '\n',
                '\\' => '\\',
                '"' if is_open => '"',
                c => panic!("\\{c} in {text}"),
            },
            c => c,
        });
    }
    help
}

fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).unwrap();
    let (name, rest) = line.split_at(end);
    let (labels, rest) = labels(rest);
    let (value, exemplar) = match rest.split_once(" # ") {
        Some((value, exemplar)) => {
            let (labels, rest) = self::labels(exemplar);
            let (value_of, time) = rest.trim_start().split_once(' ').unwrap();
            (value, Some((labels, value_of.parse().unwrap(), time.parse().unwrap())))
        }
        None => (rest, None),
    };
    let value = value.strip_prefix(' ').unwrap().parse().unwrap();
    Sample { name: name.to_owned(), labels, value, exemplar }
}

/// Labels in braces, if there are any, and what follows them.
fn labels(text: &str) -> (BTreeMap<String, String>, &str) {
    let mut labels = BTreeMap::new();
    let Some(mut rest) = text.strip_prefix('{') else { return (labels, text) };
    loop {
        let (name, after) = rest.split_once("=\"").unwrap();
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{name}");
        let (mut value, mut end) = (String::new(), None);
        let mut chars = after.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    end = Some(at);
                    break;
                }
                '\\' => value.push(match chars.next().unwrap().1 {
                    'n' => '\n',
                    c @ ('\\' | '"') => c,
                    c => panic!("\\{c}"),
                }),
                c => value.push(c),
            }
        }
        assert_eq!(labels.insert(name.to_owned(), value), None, "{name} is there twice");
        rest = &after[end.unwrap() + 1..];
        match rest.split_at(1) {
            (",", after) => rest = after,
            ("}", after) => return (labels, after),
            (other, _) => panic!("{other:?} between labels"),
        }
    }
}

/// Buckets grow, end in `+Inf`, and agree with the count.
fn check_histograms(families: &[Read]) {
    for Read { name, samples, .. } in families.iter().filter(|family| family.kind == "histogram") {
        let mut last: Option<(f64, f64)> = None;
        for sample in samples {
            if let Some(bound) = sample.labels.get("le") {
                let bound = bound.parse().unwrap_or(f64::INFINITY);
                if let Some((before, count)) = last {
                    assert!(bound > before && sample.value >= count, "{name} {sample:?}");
                }
                last = Some((bound, sample.value));
            } else if sample.name.ends_with("_count") {
                assert_eq!(last, Some((f64::INFINITY, sample.value)), "{name}");
                last = None;
            }
        }
    }
}

/// Both forms have the same families and samples, in the same order; what differs is how a bound is written, and that
/// only OpenMetrics has exemplars.
fn check_both(snapshot: &Snapshot, choice: &LabelChoice) {
    let [mut plain, mut open] = [Form::Text, Form::OpenMetrics].map(|form| {
        let families = read(&super::super::render(snapshot, form, choice).unwrap(), form);
        check_histograms(&families);
        families
    });
    let bounds = plain.iter_mut().flat_map(|family| &mut family.samples);
    for bound in bounds.filter_map(|sample| sample.labels.get_mut("le")) {
        if bound != "+Inf" && !bound.contains('.') {
            bound.push_str(".0");
        }
    }
    for sample in open.iter_mut().flat_map(|family| &mut family.samples) {
        sample.exemplar = None;
    }
    assert_eq!(plain, open);
}

#[test]
fn both_forms_say_the_same() {
    for snapshot in [fixture::full(), hostile(), Snapshot::default()] {
        check_both(&snapshot, &LabelChoice::default());
        check_both(&snapshot, &chosen::everything());
    }
}

#[test]
fn exemplars_name_the_flow() {
    let families = read(&render(&fixture::full(), Form::OpenMetrics).unwrap(), Form::OpenMetrics);
    let flow = BTreeMap::from([("flow_id".to_owned(), "4711".to_owned())]);
    let examples = |family: &str| -> Vec<_> {
        let family = families.iter().find(|read| read.name == family).unwrap();
        family.samples.iter().filter_map(|sample| sample.exemplar.as_ref()).collect()
    };
    let time = 1_520_879_607.789;
    let handshakes = examples("netwatch_tcp_handshake_seconds");
    assert_eq!(handshakes, [&(flow.clone(), 0.0006, time), &(flow.clone(), 12.0, time)]);
    assert_eq!(examples("netwatch_undelivered_packets"), [&(flow, 3.0, time)]);
    assert!(!render(&fixture::full(), Form::Text).unwrap().contains("flow_id"));
}

#[test]
fn units_are_those_of_the_names() {
    let text = render(&fixture::full(), Form::OpenMetrics).unwrap();
    for line in [
        "# UNIT netwatch_tcp_handshake_seconds seconds",
        "# UNIT netwatch_edge_bytes bytes",
        "# TYPE netwatch_edge_bytes counter",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}");
    }
    for entry in Metric::ALL.iter().map(|metric| metric.entry()) {
        assert_eq!(entry.kind == Kind::Counter, entry.name.ends_with("_total"), "{}", entry.name);
    }
}

proptest! {
    #[test]
    fn whatever_names_and_figures_there_are(
        names in prop::collection::vec(any::<String>(), 0..4),
        took in prop::collection::vec(any::<u32>(), 0..20),
        count: u64,
    ) {
        let mut snapshot = fixture::full();
        for name in &names {
            snapshot.containers.push(fixture::traffic(name));
            snapshot.edges.push(fixture::edge(name, Some(Protocol::UDP), 53));
            let mut times = crate::model::TimeHistogram::default();
            for (number, us) in took.iter().enumerate() {
                let of = Some((number as u64, crate::model::WallTime(i128::from(count))));
                times.add(std::time::Duration::from_micros(u64::from(*us)), of);
            }
            snapshot.times.handshakes.push((name.as_str().into(), times));
        }
        snapshot.edges_folded = count;
        let hostile = |name: &String| (name.as_str().into(), fixture::container(name).into());
        snapshot.labelled = Arc::new(names.iter().map(hostile).collect());
        check_both(&snapshot, &LabelChoice::default());
        check_both(&snapshot, &chosen::everything());
    }
}
