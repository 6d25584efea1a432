//! The line of a sample, in text and in JSON: one packet, its sender on the left.

use std::fmt::Write as _;

use netwatch_common::outcome::Outcome;
use serde::Serialize;

use super::{
    Formatter, escape, text,
    view::{EndView, end, hook, rfc3339},
};
use crate::model::{Clock, SampleEvent};

const CYAN: &str = "\u{1b}[36m";
/// The word of the line.
const WORD: &str = "sample";

/// The line for people.
pub(super) fn line(formatter: &Formatter, event: &SampleEvent, clock: Clock) -> String {
    let SampleEvent { sample, interface, network, packet } = event;
    let begin = |head: &str| text::begin(formatter, clock, sample.time, head, WORD, CYAN);
    let mut line = match packet {
        Ok(packet) => {
            let ends =
                [&packet.source, &packet.destination].map(|end| text::end(packet.protocol, end));
            let mut line = begin(&format!("{WORD} {}", packet.protocol));
            text::ends(&mut line, &ends);
            line
        }
        Err(outcome) => format!("{} {}", begin(WORD), outcome.name()),
    };
    if let Some(network) = network {
        let _ = write!(line, " net={}", escape::value(network));
    }
    let _ = write!(line, " len={} rate={}", sample.len, sample.rate);
    if sample.segments > 1 {
        let _ = write!(line, " segments={}", sample.segments);
    }
    if let Some(interface) = interface {
        let _ = write!(line, " at={}/{}", escape::value(interface), hook(sample.side));
    }
    text::finish(line)
}

/// The JSON record.
#[derive(Serialize)]
pub(super) struct SampleView<'a> {
    time: String,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<EndView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<EndView<'a>>,
    network: Option<&'a str>,
    interface: Option<&'a str>,
    ifindex: u32,
    hook: &'static str,
    length: u32,
    segments: u32,
    rate: u32,
}

/// The record of a sample.
pub(super) fn view<'a>(
    formatter: &Formatter,
    event: &'a SampleEvent,
    clock: Clock,
) -> SampleView<'a> {
    let SampleEvent { sample, interface, network, packet } = event;
    let ends = packet.as_ref().ok();
    SampleView {
        time: rfc3339(formatter, clock, sample.time),
        event: WORD,
        reason: packet.as_ref().err().copied().map(Outcome::name),
        protocol: ends.map(|ends| ends.protocol.to_string()),
        source: ends.map(|ends| end(ends.protocol, &ends.source)),
        destination: ends.map(|ends| end(ends.protocol, &ends.destination)),
        network: network.as_deref(),
        interface: interface.as_deref(),
        ifindex: sample.ifindex,
        hook: hook(sample.side),
        length: sample.len,
        segments: sample.segments,
        rate: sample.rate,
    }
}
