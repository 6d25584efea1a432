//! The line of a look-up, in text and in JSON: who asked whom, for which name, and what came of it.

use std::{fmt::Write as _, net::IpAddr};

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

/// The JSON record.
#[derive(Serialize)]
pub(super) struct LookupView<'a> {
    time: String,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    protocol: String,
    client: EndView<'a>,
    server: EndView<'a>,
    network: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    question: Option<QuestionView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<AnswerView<'a>>,
    queries: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
}

#[derive(Serialize)]
struct QuestionView<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
}

#[derive(Serialize)]
struct AnswerView<'a> {
    rcode: &'static str,
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
            .map(|answer| AnswerView { rcode: answer.rcode, addresses: &answer.addresses }),
        queries: lookup.queries,
        answered_ns: lookup.took.map(ns),
        hint: lookup.hint.map(Hint::name),
    }
}
