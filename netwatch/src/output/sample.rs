//! The line of a sample, in text and in JSON: one packet, its sender on the left.

use std::fmt::Write as _;

use netwatch_common::outcome::Outcome;
use schemars::JsonSchema;
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

/// A sampled packet.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Sample")]
pub(super) struct SampleView<'a> {
    /// when it was seen, as of a flow
    #[schemars(extend("format" = "date-time"))]
    time: String,
    /// `sample`
    #[schemars(extend("const" = WORD))]
    event: &'static str,
    /// why its headers cannot be read, an outcome of the ledger; the fields about its ends are left out then
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// as of a flow
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<String>,
    /// who sent it
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<EndView<'a>>,
    /// to whom
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<EndView<'a>>,
    /// Docker network; `null` where unknown
    network: Option<&'a str>,
    /// name of the interface; `null` if it is gone
    interface: Option<&'a str>,
    /// the interface, by the kernel's index
    ifindex: u32,
    /// `ingress`: the interface received the packet; `egress`: it transmitted it
    #[schemars(extend("enum" = ["ingress", "egress"]))]
    hook: &'static str,
    /// bytes of the packet as the kernel has it, Ethernet header included
    length: u32,
    /// packets that it is on the wire
    segments: u32,
    /// how many packets it stands for
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
