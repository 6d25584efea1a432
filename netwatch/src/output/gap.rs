//! The line about lines that are missing, in text and in JSON.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Formatter, human, text,
    view::{nanos, rfc3339},
};
use crate::model::{Clock, Gap};

const RED: &str = "\u{1b}[31m";
/// The word of the line.
const WORD: &str = "gap";

/// The line for people.
pub(super) fn line(formatter: &Formatter, gap: &Gap, clock: Clock) -> String {
    let mut line = text::begin(formatter, clock, gap.time, WORD, WORD, RED);
    match gap.away {
        Some(away) => {
            let mark = if gap.uncounted { " uncounted" } else { "" };
            write!(line, " away={}{mark}", human::duration(away))
        }
        None => write!(line, " lines={}", gap.lines),
    }
    .unwrap_or_default();
    text::finish(line)
}

/// Lines that are missing here, or an agent that was.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Gap")]
pub(super) struct GapView {
    /// when lines could be written again, as of a flow
    time: String,
    /// `gap`
    #[schemars(extend("const" = WORD))]
    event: &'static str,
    /// how many lines are missing here: there was no room, or the writer was too far behind
    lines: u64,
    /// of an agent that comes after another one: for how long at most nobody read what was counted.
    /// Flows that go on begin anew below, with what has not been told yet
    #[serde(skip_serializing_if = "Option::is_none")]
    away_ns: Option<u64>,
    /// `true`: what the earlier agent had left counting could not be gone on with, as that of another version. What passed
    /// in this time is in no line and no counter
    #[serde(skip_serializing_if = "Option::is_none")]
    uncounted: Option<bool>,
}

/// The record of missing lines.
pub(super) fn view(formatter: &Formatter, gap: &Gap, clock: Clock) -> GapView {
    GapView {
        time: rfc3339(formatter, clock, gap.time),
        event: WORD,
        lines: gap.lines,
        away_ns: gap.away.map(nanos),
        uncounted: gap.uncounted.then_some(true),
    }
}
