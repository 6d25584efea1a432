//! The line of several flows that are told together: as that of one, with their number and how they ended.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Formatter, human,
    text::{self, YELLOW},
    view::{self, FlowView},
    wide,
};
use crate::model::{Clock, EndReason, Fold};

/// The line for people.
pub(super) fn line(formatter: &Formatter, fold: &Fold, clock: Clock) -> String {
    let flow = &fold.sum;
    let head = format!("end   {}", flow.protocol);
    let mut line = text::begin(formatter, clock, flow.last, &head, "end", YELLOW);
    // Each has a port of its own.
    let client = text::name(&flow.client).0;
    text::ends(&mut line, &[client, text::end(flow.protocol, &flow.server)]);
    text::network(&mut line, flow);
    if formatter.wide {
        wide::flow(&mut line, flow);
    }
    let _ = write!(line, " conns={}", fold.connections);
    text::counts(&mut line, flow);
    match (fold.answered, flow.echoes.mean()) {
        (Some(answered), _) => {
            let [median, max] = [answered.median, answered.max].map(human::duration);
            let _ = write!(line, " rtt={median}/{max}");
        }
        (None, Some(mean)) => {
            let _ = write!(line, " rtt={}", human::duration(mean));
        }
        (None, None) => {}
    }
    let _ = write!(line, " dur={}", human::duration(flow.duration()));
    text::troubles(&mut line, flow);
    let _ = write!(line, " end={}", ends(fold));
    if flow.echo {
        line.push_str(" echo");
    }
    text::finish(line)
}

/// `fin:1498,reset:2`.
pub(super) fn ends(fold: &Fold) -> String {
    let ends = fold.ends.iter().map(|(reason, count)| format!("{}:{count}", reason.name()));
    ends.collect::<Vec<_>>().join(",")
}

/// How many of several flows ended for each reason.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Ends")]
#[serde(rename_all = "kebab-case")]
struct EndsView {
    /// as `reason`; left out where none did
    #[serde(skip_serializing_if = "Option::is_none")]
    fin: Option<u64>,
    /// as `fin`
    #[serde(skip_serializing_if = "Option::is_none")]
    reset: Option<u64>,
    /// as `fin`
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<u64>,
    /// as `fin`
    #[serde(skip_serializing_if = "Option::is_none")]
    no_answer: Option<u64>,
    /// as `fin`
    #[serde(skip_serializing_if = "Option::is_none")]
    idle: Option<u64>,
    /// as `fin`
    #[serde(skip_serializing_if = "Option::is_none")]
    gone: Option<u64>,
    /// as `fin`
    #[serde(skip_serializing_if = "Option::is_none")]
    shutdown: Option<u64>,
}

/// From SYN to SYN-ACK, of several connections.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Answered")]
struct AnsweredView {
    /// connections whose handshake was seen
    timed: u64,
    /// half of them waited no longer, in nanoseconds
    median_ns: u64,
    /// the longest wait, in nanoseconds
    max_ns: u64,
}

/// What the record of several flows has besides that of one.
#[derive(Serialize, JsonSchema)]
pub(super) struct Several {
    /// how many flows are folded into this line (`--flow-log-fold`), two or more; left out of the line of a single one
    connections: u64,
    /// in place of `reason` where several are folded
    ends: EndsView,
    /// how long the servers of those that are folded took to answer; left out where no handshake was seen
    #[serde(skip_serializing_if = "Option::is_none")]
    answered: Option<AnsweredView>,
}

/// The record of several flows.
pub(super) fn view<'a>(formatter: &Formatter, fold: &'a Fold, clock: Clock) -> FlowView<'a> {
    let count = |reason| fold.ends.get(&reason).copied();
    let several = Several {
        connections: fold.connections,
        ends: EndsView {
            fin: count(EndReason::Fin),
            reset: count(EndReason::Reset),
            refused: count(EndReason::Refused),
            no_answer: count(EndReason::NoAnswer),
            idle: count(EndReason::Idle),
            gone: count(EndReason::Gone),
            shutdown: count(EndReason::Shutdown),
        },
        answered: fold.answered.map(|answered| AnsweredView {
            timed: answered.timed,
            median_ns: view::nanos(answered.median),
            max_ns: view::nanos(answered.max),
        }),
    };
    view::sum(formatter, &fold.sum, several, clock)
}
