//! The line of several flows that are told together: as that of one, with their number and how they ended.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Serialize;

use super::{
    Formatter, human,
    text::{self, YELLOW},
    view::{self, FlowView},
    wide,
};
use crate::model::{Clock, Fold};

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

/// The record.
#[derive(Serialize)]
pub(super) struct FoldView<'a> {
    #[serde(flatten)]
    sum: FlowView<'a>,
    connections: u64,
    ends: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered: Option<AnsweredView>,
}

#[derive(Serialize)]
struct AnsweredView {
    timed: u64,
    median_ns: u64,
    max_ns: u64,
}

/// Of several flows.
pub(super) fn view<'a>(formatter: &Formatter, fold: &'a Fold, clock: Clock) -> FoldView<'a> {
    FoldView {
        sum: view::sum(formatter, &fold.sum, clock),
        connections: fold.connections,
        ends: fold.ends.iter().map(|(reason, count)| (reason.name(), *count)).collect(),
        answered: fold.answered.map(|answered| AnsweredView {
            timed: answered.timed,
            median_ns: view::nanos(answered.median),
            max_ns: view::nanos(answered.max),
        }),
    }
}
