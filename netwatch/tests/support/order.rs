//! What holds for the lines of every flow log: each event once, figures that only grow, and no line later than promised.

use std::collections::HashMap;

use serde_json::Value;

use super::events::{Events, tally};

/// What docs/flow-log.md promises of every line.
const LATENESS: i128 = 3_000;
/// What it promises of those that wait for something, in milliseconds beyond that.
const ABOUT_CONTAINERS: i128 = 1_000;
const NO_ANSWER_TO_A_LOOK_UP: i128 = 5_000;
const ECHO_IDLE: i128 = 5_000;
const LINGER: i128 = 5_000;
const TCP_IDLE_FACTOR: i128 = 20;

/// Timeouts of the agent whose log it is, in milliseconds.
#[derive(Clone, Copy)]
pub struct Timeouts {
    pub idle: i128,
    pub active: i128,
}

impl Timeouts {
    /// How far the time of such a line may lie behind the latest one above it.
    fn lateness(self, line: &Value) -> i128 {
        let silent = match line["protocol"].as_str() {
            Some("tcp") => self.idle * TCP_IDLE_FACTOR,
            Some("icmp" | "icmpv6") => self.idle.min(ECHO_IDLE),
            _ => self.idle,
        };
        let waits = match (line["event"].as_str(), line["reason"].as_str()) {
            (Some("event"), _) => ABOUT_CONTAINERS,
            (Some("dns"), Some("no-answer")) => NO_ANSWER_TO_A_LOOK_UP,
            (Some("update"), _) => self.active.min(silent),
            (Some("end"), None | Some("idle" | "no-answer" | "gone" | "shutdown")) => silent,
            (Some("end"), Some("late")) => LINGER,
            _ => 0,
        };
        LATENESS + waits
    }
}

/// By kind of line, the largest lateness that there was, in milliseconds.
pub type Lateness = HashMap<String, i128>;

/// Every line is at most so late as is promised of it.
pub fn assert_in_order(events: &Events, timeouts: Timeouts) -> Lateness {
    let mut latest = i128::MIN;
    let mut largest = Lateness::new();
    for line in &events.0 {
        let time = nanoseconds(line, "time") / 1_000_000;
        let late = latest.saturating_sub(time).max(0);
        let promised = timeouts.lateness(line);
        assert!(late <= promised, "{late} ms late, at most {promised} are promised: {line}");
        let kind = format!(
            "{} {}",
            line["event"].as_str().unwrap_or_default(),
            line["reason"].as_str().unwrap_or_default()
        );
        let of_kind = largest.entry(kind.trim().to_owned()).or_default();
        *of_kind = late.max(*of_kind);
        latest = latest.max(time);
    }
    largest
}

/// Each flow starts once, ends once (and once more where packets came late), and its figures never shrink.
pub fn assert_each_told_once(events: &Events) {
    let mut last: HashMap<u64, &Value> = HashMap::new();
    for line in &events.0 {
        let Some(flow) = line["flow_id"].as_u64() else { continue };
        let Some(before) = last.insert(flow, line) else {
            assert_eq!(line["event"], "start", "{line}");
            continue;
        };
        let follows = match line["event"].as_str() {
            Some("update") => before["event"] != "end",
            Some("end") => (before["event"] == "end") == (line["reason"] == "late"),
            _ => false,
        };
        assert!(follows, "{line} after {before}");
        // Another CPU may have seen an earlier packet, but none changes its time.
        assert!(nanoseconds(line, "first") <= nanoseconds(before, "first"), "{before}\n{line}");
        assert!(nanoseconds(line, "last") >= nanoseconds(before, "last"), "{before}\n{line}");
        // One about what came late tells of nothing else.
        if before["event"] == "start" || line["reason"] == "late" {
            continue;
        }
        for direction in ["sent", "received"] {
            let (now, then) = (tally(line, direction), tally(before, direction));
            assert!(now.0 >= then.0 && now.1 >= then.1, "{before}\n{line}");
        }
    }
    for line in last.values() {
        assert_eq!(line["event"], "end", "the last of its flow: {line}");
    }
}

fn nanoseconds(line: &Value, field: &str) -> i128 {
    let text = line[field].as_str().expect("a time");
    let time: jiff::Timestamp = text.parse().expect("a time");
    time.as_nanosecond()
}
