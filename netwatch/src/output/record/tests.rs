//! Every line of the golden files there and back, and lines that are none.

use jiff::tz::{Offset, TimeZone};
use proptest::prelude::*;

use super::{
    super::{Format, Formatter},
    Record, read,
};

fn golden(name: &str) -> String {
    let path = format!("{}/src/output/testdata/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// What would be written of a line now.
fn written(formatter: &Formatter, line: &str) -> String {
    let (record, clock) = read(line.as_bytes()).unwrap_or_else(|error| panic!("{error}: {line}"));
    let mut out = Vec::new();
    let result = match &record {
        Record::Flow(event) => formatter.flow(event, clock, &mut out),
        Record::Fold(fold) => formatter.fold(fold, clock, &mut out),
        Record::Loss(loss) => formatter.loss(loss, clock, &mut out),
        Record::Lookup(lookup) => formatter.lookup(lookup, clock, &mut out),
        Record::Gap(gap) => formatter.gap(gap, clock, &mut out),
        Record::Sample(event) => formatter.sample(event, clock, &mut out),
        Record::Life(event) => formatter.life(event, clock, &mut out),
    };
    result.unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn what_was_written_in_json_is_the_same_event_again() {
    let zone = TimeZone::fixed(Offset::constant(1));
    for name in ["example", "corners", "hostile", "samples", "lookups", "lives", "folds"] {
        let lines = golden(&format!("{name}.jsonl"));
        for (format, wide, suffix) in [
            (Format::Json, false, ".jsonl"),
            (Format::Text, false, ".txt"),
            (Format::Text, true, "-wide.txt"),
            (Format::Csv, false, ".csv"),
        ] {
            let formatter = Formatter { wide, ..Formatter::new(format, zone.clone()) };
            let file = format!("{name}{suffix}");
            if wide && !["example", "hostile"].contains(&name) {
                continue;
            }
            let kept = golden(&file);
            let header = formatter.header().unwrap_or_default();
            let kept = kept.strip_prefix(&header).unwrap();
            assert_eq!(lines.lines().count(), kept.lines().count());
            for (line, kept) in lines.lines().zip(kept.split_inclusive('\n')) {
                assert_eq!(written(&formatter, line), kept, "{file}");
            }
        }
    }
}

#[test]
fn what_is_wrong_with_a_line_is_said() {
    let example = golden("example.jsonl");
    let line = example.lines().nth(1).unwrap();
    for (from, to, message) in [
        ("\"end\"", "\"ending\"", "'ending' is no known event"),
        ("\"fin\"", "\"fun\"", "'fun' is no known reason of an end"),
        ("\"tcp\"", "\"tpc\"", "'tpc' is no known protocol"),
        ("\"container\"", "\"box\"", "'box' is no known kind of an end"),
        ("\"hook\":\"egress\"", "\"hook\":\"x\\u001b\"", "'x\\u{1b}' is no known hook"),
        ("02:42:ac:11:00:02", "02:42", "'02:42' is no Ethernet address"),
        ("172.17.0.2", "172.17.0.256", "invalid IP address syntax"),
        ("\"flow_id\":1,", "", "missing field `flow_id`"),
        ("2026-03-01T", "2026-13-01T", "month"),
    ] {
        assert!(line.contains(from), "{from}");
        let error = read(line.replacen(from, to, 1).as_bytes()).unwrap_err();
        assert!(error.contains(message), "{error}");
    }
    assert!(read(line.replacen('{', "{\"later\":[{}],", 1).as_bytes()).is_ok(), "a later version");
    assert!(read(b"").is_err());
    let fold = golden("folds.jsonl").lines().next().unwrap().replace("\"fin\":", "\"fun\":");
    let error = read(fold.as_bytes()).unwrap_err();
    assert_eq!(error, "'fun' is no known reason of an end");
}

#[test]
fn a_line_that_is_cut_off_anywhere_is_refused() {
    for name in ["example", "lookups", "samples", "lives", "folds"] {
        for line in golden(&format!("{name}.jsonl")).lines() {
            for end in 0..line.len() {
                assert!(read(&line.as_bytes()[..end]).is_err(), "{}", &line[..end]);
            }
        }
    }
}

proptest! {
    #[test]
    fn no_damage_does_more_than_be_refused(at in 0..4_000_usize, byte in any::<u8>(), name in 0..5_usize) {
        let name = ["corners", "lookups", "samples", "lives", "folds"][name];
        for line in golden(&format!("{name}.jsonl")).lines() {
            let mut line = line.as_bytes().to_vec();
            let at = at % line.len();
            line[at] = byte;
            if let Ok((Record::Flow(event), clock)) = read(&line) {
                let formatter = Formatter::new(Format::Text, TimeZone::UTC);
                formatter.flow(&event, clock, &mut Vec::new()).unwrap();
            }
        }
    }
}
