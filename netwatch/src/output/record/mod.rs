//! The way back: a line of the JSON flow log into the event that it was written for.
//!
//! Promises: text and tables made of it are those that the agent would have written. Unknown fields do not matter, so
//! that logs of later versions can be read; an unknown kind of event does. No line, whatever is in it, does more than be
//! refused.

mod flow;
mod life;
mod parts;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use netwatch_common::outcome::Outcome;
use serde::Deserialize;

use self::{
    flow::FlowLine,
    life::LifeLine,
    parts::{EndRecord, TallyRecord, protocol},
};
use crate::model::{
    Answer, Clock, FlowEvent, Fold, Gap, Hint, Instant, LifeEvent, Lookup, Loss, Question, Sample,
    SampleEvent, SampledPacket,
};

/// An event that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Of a flow.
    Flow(Box<FlowEvent>),
    /// Of several flows.
    Fold(Box<Fold>),
    /// A loss.
    Loss(Loss),
    /// A look-up.
    Lookup(Box<Lookup>),
    /// A sample.
    Sample(Box<SampleEvent>),
    /// What happened to a container.
    Life(Box<LifeEvent>),
    /// Lines that are missing.
    Gap(Gap),
}

/// Reads a line, and the clock that its times are by; or says what is wrong with it.
pub fn read(line: &[u8]) -> Result<(Record, Clock), String> {
    let kind: KindRecord = object(line)?;
    match kind.event.as_str() {
        "start" | "update" | "end" => object::<FlowLine>(line)?.record(),
        "lost" => object::<LossLine>(line)?.event(),
        "dns" => object::<LookupLine>(line)?.event(),
        "sample" => object::<SampleLine>(line)?.event(),
        "event" => object::<LifeLine>(line)?.event(),
        "gap" => Ok(object::<GapLine>(line)?.event()),
        other => Err(format!("'{}' is no known event", other.escape_debug())),
    }
}

fn object<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, String> {
    // It counts lines within what it is given, which is always one.
    serde_json::from_slice(line)
        .map_err(|error| error.to_string().replace(" at line 1 column ", " at column "))
}

#[derive(Deserialize)]
struct KindRecord {
    event: String,
}

#[derive(Deserialize)]
struct LossLine {
    #[serde(deserialize_with = "parts::time")]
    time: Timestamp,
    reason: String,
    #[serde(flatten)]
    tally: TallyRecord,
}

impl LossLine {
    fn event(self) -> Result<(Record, Clock), String> {
        let loss =
            Loss { time: Instant(0), outcome: outcome(&self.reason)?, tally: self.tally.into() };
        Ok((Record::Loss(loss), clock(self.time)))
    }
}

#[derive(Deserialize)]
struct GapLine {
    #[serde(deserialize_with = "parts::time")]
    time: Timestamp,
    lines: u64,
    #[serde(default)]
    away_ns: Option<u64>,
    #[serde(default)]
    uncounted: bool,
}

impl GapLine {
    fn event(self) -> (Record, Clock) {
        let Self { lines, uncounted, .. } = self;
        let away = self.away_ns.map(Duration::from_nanos);
        (Record::Gap(Gap { time: Instant(0), lines, away, uncounted }), clock(self.time))
    }
}

#[derive(Deserialize)]
struct LookupLine {
    #[serde(deserialize_with = "parts::time")]
    time: Timestamp,
    protocol: String,
    client: EndRecord,
    server: EndRecord,
    network: Option<String>,
    question: Option<QuestionRecord>,
    answer: Option<AnswerRecord>,
    #[serde(default)]
    queries: u32,
    answered_ns: Option<u64>,
    hint: Option<String>,
}

#[derive(Deserialize)]
struct QuestionRecord {
    name: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct AnswerRecord {
    rcode: String,
    addresses: Vec<std::net::IpAddr>,
}

impl LookupLine {
    fn event(self) -> Result<(Record, Clock), String> {
        let lookup = Lookup {
            time: Instant(0),
            protocol: protocol(&self.protocol)?,
            client: self.client.endpoint()?,
            server: self.server.endpoint()?,
            network: self.network.map(Into::into),
            question: self.question.map(|asked| Question { name: asked.name, kind: asked.kind }),
            answer: self.answer.map(|answer| Answer {
                rcode: parts::rcode(&answer.rcode).into(),
                addresses: answer.addresses,
            }),
            took: self.answered_ns.map(Duration::from_nanos),
            queries: self.queries,
            hint: self.hint.as_deref().and_then(Hint::of),
        };
        Ok((Record::Lookup(Box::new(lookup)), clock(self.time)))
    }
}

#[derive(Deserialize)]
struct SampleLine {
    #[serde(deserialize_with = "parts::time")]
    time: Timestamp,
    reason: Option<String>,
    protocol: Option<String>,
    source: Option<EndRecord>,
    destination: Option<EndRecord>,
    network: Option<String>,
    interface: Option<String>,
    ifindex: u32,
    hook: String,
    length: u32,
    segments: u32,
    rate: u32,
}

impl SampleLine {
    fn event(self) -> Result<(Record, Clock), String> {
        let sample = Sample {
            time: Instant(0),
            ifindex: self.ifindex,
            side: parts::side(&self.hook)?,
            len: self.length,
            wire_len: self.length,
            segments: self.segments,
            gso_size: 0,
            rate: self.rate,
            bytes: bytes::Bytes::new(),
        };
        let packet = match (self.protocol, self.source, self.destination) {
            (Some(name), Some(source), Some(destination)) => Ok(SampledPacket {
                protocol: protocol(&name)?,
                source: source.endpoint()?,
                destination: destination.endpoint()?,
            }),
            _ => Err(outcome(&self.reason.unwrap_or_default())?),
        };
        let event = SampleEvent {
            sample,
            interface: self.interface,
            network: self.network.map(Into::into),
            packet,
        };
        Ok((Record::Sample(Box::new(event)), clock(self.time)))
    }
}

/// The clock by which a time is zero.
fn clock(zero: Timestamp) -> Clock {
    Clock { offset_ns: zero.as_nanosecond() }
}

/// A time by that clock; zero where it is before.
fn since(clock: Clock, time: Timestamp) -> Instant {
    Instant(u64::try_from(time.as_nanosecond() - clock.offset_ns).unwrap_or(0))
}

fn outcome(word: &str) -> Result<Outcome, String> {
    Outcome::ALL
        .iter()
        .copied()
        .find(|outcome| outcome.name() == word)
        .ok_or_else(|| format!("'{}' is no known reason of a loss", word.escape_debug()))
}
