//! Golden files (`UPDATE_GOLDEN=1` rewrites them), and docs/flow-log.md against them (`UPDATE_DOCS=1`).

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use jiff::tz::{Offset, TimeZone};

use super::{
    Format, Formatter,
    fixture::{self, CLOCK, Line},
    fold_fixture,
};
use crate::model::{DropPlace, FlowDrop, Name, Undelivered};

pub(super) fn formatter(format: Format) -> Formatter {
    Formatter::new(format, TimeZone::fixed(Offset::constant(1)))
}

pub(super) fn write(formatter: &Formatter, lines: &[Line]) -> String {
    let mut out = Vec::new();
    for line in lines {
        match line {
            Line::Flow(event) => formatter.flow(event, CLOCK, &mut out).unwrap(),
            Line::Fold(fold) => formatter.fold(fold, CLOCK, &mut out).unwrap(),
            Line::Loss(loss) => formatter.loss(loss, CLOCK, &mut out).unwrap(),
            Line::Lookup(lookup) => formatter.lookup(lookup, CLOCK, &mut out).unwrap(),
            Line::Sample(event) => formatter.sample(event, CLOCK, &mut out).unwrap(),
            Line::Life(event) => formatter.life(event, CLOCK, &mut out).unwrap(),
            Line::Gap(gap) => formatter.gap(gap, CLOCK, &mut out).unwrap(),
        }
    }
    String::from_utf8(out).unwrap()
}

pub(super) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[track_caller]
fn golden(name: &str, written: &str) {
    let path = project("src/output/testdata").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, written).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    for (number, (kept, written)) in kept.lines().zip(written.lines()).enumerate() {
        assert_eq!(written, kept, "{name}:{}", number + 1);
    }
    assert_eq!(written, kept, "{name}: UPDATE_GOLDEN=1 rewrites it");
}

#[test]
fn text_is_as_kept() {
    let mut text = formatter(Format::Text);
    golden("example.txt", &write(&text, &fixture::example()));
    golden("corners.txt", &write(&text, &fixture::corners()));
    golden("folds.txt", &write(&text, &fold_fixture::folds()));
    golden("hostile.txt", &write(&text, &fixture::hostile()));
    golden("samples.txt", &write(&text, &fixture::samples()));
    golden("lookups.txt", &write(&text, &fixture::lookups()));
    golden("lives.txt", &write(&text, &fixture::lives()));
    text.wide = true;
    golden("example-wide.txt", &write(&text, &fixture::example()));
    golden("hostile-wide.txt", &write(&text, &fixture::hostile()));
}

#[test]
fn json_is_as_kept() {
    let json = formatter(Format::Json);
    golden("example.jsonl", &write(&json, &fixture::example()));
    golden("corners.jsonl", &write(&json, &fixture::corners()));
    golden("folds.jsonl", &write(&json, &fold_fixture::folds()));
    golden("hostile.jsonl", &write(&json, &fixture::hostile()));
    golden("samples.jsonl", &write(&json, &fixture::samples()));
    golden("lookups.jsonl", &write(&json, &fixture::lookups()));
    golden("lives.jsonl", &write(&json, &fixture::lives()));
}

#[test]
fn csv_is_as_kept() {
    let csv = formatter(Format::Csv);
    let table = |lines: &[Line]| csv.header().unwrap() + &write(&csv, lines);
    golden("example.csv", &table(&fixture::example()));
    golden("corners.csv", &table(&fixture::corners()));
    golden("folds.csv", &table(&fold_fixture::folds()));
    golden("hostile.csv", &table(&fixture::hostile()));
    golden("samples.csv", &table(&fixture::samples()));
    golden("lookups.csv", &table(&fixture::lookups()));
    golden("lives.csv", &table(&fixture::lives()));
}

pub(super) fn everything() -> Vec<Line> {
    let all = [
        fixture::example(),
        fixture::corners(),
        fold_fixture::folds(),
        fixture::hostile(),
        fixture::samples(),
        fixture::lookups(),
        fixture::lives(),
    ];
    all.into_iter().flatten().collect()
}

#[test]
fn every_event_is_one_printable_line() {
    let lines = everything();
    for format in [Format::Text, Format::Json, Format::Csv] {
        let written = write(&Formatter { wide: true, ..formatter(format) }, &lines);
        let written = written.replace("\r\n", "\n");
        assert_eq!(written.lines().count(), lines.len());
        assert!(!written.chars().any(|c| c.is_control() && c != '\n'));
    }
}

#[test]
fn a_field_of_a_hostile_line_is_what_netwatch_wrote() {
    let written = write(&formatter(Format::Text), &fixture::hostile());
    for line in written.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        if words[1] == "event" {
            assert_eq!(words[3], "restarted", "{line}");
            let keys: Vec<_> =
                words[4..].iter().map(|field| field.split_once('=').unwrap().0).collect();
            let expected = ["net", "id", "veth", "ip", "shares-with", "service", "replicas"];
            assert_eq!(keys, expected, "{line}");
            assert_eq!(line.matches('=').count(), expected.len(), "{line}");
            continue;
        }
        let (head, fields) = words.split_at(6);
        let expected = match head {
            [_, "end", "udp", _, "->", _] => ["net", "sent", "recv", "dur"],
            [_, "dns", "udp", _, "->", _] => ["net", "name", "type", "end"],
            _ => panic!("{line}"),
        };
        let keys: Vec<_> = fields.iter().map(|field| field.split_once('=').unwrap().0).collect();
        assert_eq!(keys, expected, "{line}");
        assert_eq!(line.matches('=').count(), 4, "{line}");
    }
}

#[test]
fn drops_of_a_kept_line_are_harmless_whatever_they_say() {
    let Line::Flow(mut event) = fixture::example().remove(1) else { panic!("no flow") };
    let place = || DropPlace::Interface("eth0".into());
    let hostile = |packets| FlowDrop {
        reason: "a\u{1b}[2J\nb c".into(),
        ..fixture::dropped(place(), true, packets)
    };
    event.flow.drops = vec![hostile(u64::MAX), hostile(1)];
    event.flow.undelivered =
        Some(Undelivered { from_client: u64::MAX, from_server: 1, place: None });
    let written = write(&formatter(Format::Text), &[Line::Flow(event)]);
    let most = u64::MAX;
    let expected =
        format!(" dropped={most}/a\\u{{1b}}[2J\\nb\\u{{20}}c@eth0 undelivered={most} end=fin\n");
    assert!(written.ends_with(&expected), "{written:?}");
}

#[test]
fn hostile_places_of_drops_are_one_word_each() {
    for mut line in fixture::hostile() {
        let Line::Flow(event) = &mut line else { continue };
        let Name::Interface(name) = &event.flow.server.name else { panic!("an interface") };
        let name: Arc<str> = name.as_str().into();
        event.flow.drops = vec![
            fixture::dropped(DropPlace::Inside(Arc::clone(&name)), true, 1),
            fixture::dropped(DropPlace::Interface(name), false, 2),
        ];
        let written = write(&formatter(Format::Text), &[line]);
        let field = written.split_whitespace().last().unwrap().strip_prefix("dropped=").unwrap();
        let drops: Vec<_> = field.split(',').collect();
        assert_eq!(drops.len(), 2, "{field}");
        assert!(drops[0].starts_with("2/netfilter-drop@"), "{field}");
        assert!(drops[1].starts_with("1/netfilter-drop@in:"), "{field}");
    }
}

#[test]
fn colour_is_on_the_first_word_only() {
    let plain = formatter(Format::Text);
    let coloured = Formatter { colour: true, ..plain.clone() };
    let lines = everything();
    let (plain, coloured) = (write(&plain, &lines), write(&coloured, &lines));
    for (plain, coloured) in plain.lines().zip(coloured.lines()) {
        let (time, rest) = coloured.split_at(13);
        let (code, rest) = rest.split_at(5);
        let (word, rest) = rest.split_once("\u{1b}[0m").unwrap();
        let colours =
            ["31", "32", "33", "34", "35", "36"].map(|colour| format!("\u{1b}[{colour}m"));
        assert!(colours.iter().any(|colour| colour == code), "{coloured:?}");
        assert!(!rest.contains('\u{1b}'));
        assert_eq!(format!("{time}{word}{rest}"), plain);
    }
}

#[test]
fn times_follow_the_zone() {
    let Line::Flow(event) = fixture::example().remove(0) else { panic!("no flow") };
    let line = |format, zone| {
        let mut out = Vec::new();
        Formatter::new(format, zone).flow(&event, CLOCK, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert!(line(Format::Text, TimeZone::UTC).starts_with("18:04:05.123 "));
    assert!(
        line(Format::Json, TimeZone::UTC)
            .starts_with(r#"{"time":"2026-03-01T18:04:05.123456+00:00""#)
    );
    let kathmandu = TimeZone::fixed(Offset::from_seconds(20_700).unwrap());
    assert!(line(Format::Text, kathmandu.clone()).starts_with("23:49:05.123 "));
    assert!(
        line(Format::Json, kathmandu).starts_with(r#"{"time":"2026-03-01T23:49:05.123456+05:45""#)
    );
}

/// Who rewrites a part of a page holds it: the tests run at the same time.
pub(super) static PAGES: Mutex<()> = Mutex::new(());

/// Puts the golden files into a page, each in its place.
#[track_caller]
fn docs_show(page: &str, names: &[&str]) {
    let _alone = PAGES.lock().unwrap_or_else(PoisonError::into_inner);
    let path = project("../docs").join(page);
    let kept = std::fs::read_to_string(&path).unwrap();
    let mut fresh = kept.clone();
    for name in names {
        let language = match name.rsplit_once('.').unwrap().1 {
            "jsonl" => "json",
            "csv" => "csv",
            _ => "text",
        };
        let content = std::fs::read_to_string(project("src/output/testdata").join(name)).unwrap();
        let content = content.replace("\r\n", "\n");
        let begin = format!("<!-- {name} -->\n");
        let (head, rest) =
            fresh.split_once(&begin).unwrap_or_else(|| panic!("docs/{page} lacks {begin}"));
        let (_, tail) = rest.split_once("<!-- end -->").unwrap();
        fresh = format!("{head}{begin}```{language}\n{content}```\n<!-- end -->{tail}");
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &fresh).unwrap();
    } else {
        assert!(
            kept == fresh,
            "docs/{page} is stale: UPDATE_DOCS=1 cargo test -p netwatch --lib output"
        );
    }
}

#[test]
fn the_docs_show_the_golden_files() {
    docs_show(
        "flow-log.md",
        &[
            "example.txt",
            "example-wide.txt",
            "folds.txt",
            "lookups.txt",
            "lives.txt",
            "samples.txt",
            "example.jsonl",
            "folds.jsonl",
            "lookups.jsonl",
            "lives.jsonl",
            "samples.jsonl",
        ],
    );
    docs_show("flows.md", &["example.csv"]);
}

#[test]
fn the_columns_are_documented_in_their_order() {
    let docs = std::fs::read_to_string(project("../docs/flows.md")).unwrap();
    let (_, table) = docs.split_once("| column | |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let documented: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once(" |"))
        .flat_map(|(names, _)| names.split(", "))
        .map(|name| name.trim_matches('`'))
        .collect();
    assert_eq!(documented.join(",") + "\r\n", formatter(Format::Csv).header().unwrap());
}
