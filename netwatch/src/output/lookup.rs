//! The line of a look-up, in text and in JSON: who asked whom, for which name, and what came of it.

use std::{fmt::Write as _, net::IpAddr};

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Formatter, escape, human, text,
    view::{EndView, end, rfc3339},
};
use crate::model::{Clock, Hint, Lookup};

const MAGENTA: &str = "\u{1b}[35m";
/// The word of the line.
const WORD: &str = "dns";
/// Why it ended, where no answer came.
const NO_ANSWER: &str = "no-answer";

/// The line for people. Without ports: the client's is of no use to anybody, the server's always the same.
pub(super) fn line(formatter: &Formatter, lookup: &Lookup, clock: Clock) -> String {
    let head = format!("{WORD:<5} {}", lookup.protocol);
    let mut line = text::begin(formatter, clock, lookup.time, &head, WORD, MAGENTA);
    text::ends(&mut line, &[&lookup.client, &lookup.server].map(|end| text::name(end).0));
    if let Some(network) = &lookup.network {
        let _ = write!(line, " net={}", escape::value(network));
    }
    if let Some(question) = &lookup.question {
        let name = if question.name.is_empty() { "." } else { &question.name };
        let _ =
            write!(line, " name={} type={}", escape::value(name), escape::value(&question.kind));
    }
    match &lookup.answer {
        Some(answer) => {
            let _ = write!(line, " rcode={}", answer.rcode);
            if !answer.addresses.is_empty() {
                let addresses: Vec<_> = answer.addresses.iter().map(IpAddr::to_string).collect();
                let _ = write!(line, " addr={}", addresses.join(","));
            }
        }
        None => {
            let _ = write!(line, " end={NO_ANSWER}");
        }
    }
    if let Some(took) = lookup.took {
        let _ = write!(line, " rtt={}", human::duration(took));
    }
    if lookup.queries > 1 {
        let _ = write!(line, " queries={}", lookup.queries);
    }
    if let Some(hint) = lookup.hint {
        let _ = write!(line, " hint={}", hint.name());
    }
    text::finish(line)
}

/// A look-up of a name: query and answer together.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Dns")]
pub(super) struct LookupView<'a> {
    /// of the answer, or of the last query, as of a flow
    #[schemars(extend("format" = "date-time"))]
    time: String,
    /// `dns`
    #[schemars(extend("const" = WORD))]
    event: &'static str,
    /// `no-answer`, where none came
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("const" = NO_ANSWER))]
    reason: Option<&'static str>,
    /// `udp` or `tcp`
    protocol: String,
    /// who asked
    client: EndView<'a>,
    /// whom
    server: EndView<'a>,
    /// Docker network; `null` where unknown
    network: Option<&'a str>,
    /// what was asked for; left out in a message that asks for nothing
    #[serde(skip_serializing_if = "Option::is_none")]
    question: Option<QuestionView<'a>>,
    /// what came of it
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<AnswerView<'a>>,
    /// queries that were seen; 0 where only the answer was
    queries: u32,
    /// nanoseconds from the first query to the answer; left out where one of them was not seen
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_ns: Option<u64>,
    /// why the name is not found, where that can be told
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
}

/// What was asked for.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Question")]
struct QuestionView<'a> {
    /// the name, without the dot at its end
    name: &'a str,
    /// mnemonic of the record type, `TYPE65280` where it has none
    #[serde(rename = "type")]
    kind: &'a str,
}

/// What was answered.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Answer")]
struct AnswerView<'a> {
    /// mnemonic of the response code; `other` where it has none
    rcode: &'a str,
    /// the addresses in the answer, up to eight
    addresses: &'a [IpAddr],
}

/// The record of a look-up.
pub(super) fn view<'a>(formatter: &Formatter, lookup: &'a Lookup, clock: Clock) -> LookupView<'a> {
    let ns = |took: std::time::Duration| u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    LookupView {
        time: rfc3339(formatter, clock, lookup.time),
        event: WORD,
        reason: lookup.answer.is_none().then_some(NO_ANSWER),
        protocol: lookup.protocol.to_string(),
        client: end(lookup.protocol, &lookup.client),
        server: end(lookup.protocol, &lookup.server),
        network: lookup.network.as_deref(),
        question: lookup
            .question
            .as_ref()
            .map(|question| QuestionView { name: &question.name, kind: &question.kind }),
        answer: lookup
            .answer
            .as_ref()
            .map(|answer| AnswerView { rcode: &answer.rcode, addresses: &answer.addresses }),
        queries: lookup.queries,
        answered_ns: lookup.took.map(ns),
        hint: lookup.hint.map(Hint::name),
    }
}
