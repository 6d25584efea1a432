//! A running agent, what it has lost, and the address that it needs.

use std::net::SocketAddr;

use netwatch_common::outcome::Outcome;

use super::{
    super::{
        facts::{Agent, Listen, Socket},
        scrape::Scrape,
    },
    Case, Finding,
};
use crate::metrics::catalogue::Metric;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What an agent can lose: the metric, its label, the words for it, and what helps.
const LOSSES: [(Metric, Option<(&str, &str)>, &str, &str); 11] = [
    (
        Metric::PacketOutcomes,
        Some(("outcome", Outcome::FlowTableFull.name())),
        "packets in no flow, because flow table and ring were full",
        "raise --max-flows, or exclude what is not wanted (--exclude-net, --exclude-port)",
    ),
    (
        Metric::PacketOutcomes,
        Some(("outcome", Outcome::FlowLimit.name())),
        "packets in no flow, because as many flows were tracked as may be",
        "raise --max-flows",
    ),
    (
        Metric::PacketOutcomes,
        Some(("outcome", Outcome::FlowEntryBusy.name())),
        "packets in no flow, because their entry was being written",
        "nothing: it is rare, and counted",
    ),
    (
        Metric::PacketOutcomes,
        Some(("outcome", Outcome::UnknownInterface.name())),
        "packets of interfaces without a slot",
        "observe fewer interfaces (--interface, --exclude)",
    ),
    (Metric::SamplesLost, None, "samples, because their ring was full", "raise --sample-rate"),
    (
        Metric::DnsMessagesLost,
        Some(("reason", "ring-full")),
        "DNS messages, because their ring was full",
        "lower --dns-rate, or give the agent more CPU",
    ),
    (
        Metric::DnsMessagesLost,
        Some(("reason", "rate-limit")),
        "DNS messages beyond --dns-rate",
        "raise --dns-rate",
    ),
    (
        Metric::DropDetailsLost,
        None,
        "dropped packets whose flow was not told",
        "nothing: netwatch_dropped_packets_total has them",
    ),
    (
        Metric::DropsMissed,
        None,
        "drops that the kernel did not show",
        "nothing: it showed another one on that CPU",
    ),
    (
        Metric::FlowLogLinesLost,
        None,
        "lines of the flow log",
        "see that its disk has room and keeps up",
    ),
    (
        Metric::AttachFailures,
        None,
        "attaches that failed",
        "see the agent's log for 'cannot attach'",
    ),
];

pub(super) fn agent(agent: &Agent) -> Finding {
    match (&agent.socket, &agent.metrics) {
        (Socket::Silent, None) => Finding::new(Case::AgentAbsent, "none answers"),
        (Socket::Forbidden(why), None) => Finding::new(Case::AgentForbidden, why),
        (Socket::Strange(why), None) => Finding::new(Case::AgentNotReady, why),
        (_, Some(scrape)) => of_version(agent, scrape),
        (Socket::Answers, None) => Finding::new(Case::AgentRuns, "one answers at its socket"),
    }
}

fn of_version(agent: &Agent, scrape: &Scrape) -> Finding {
    let version = scrape.labels(Metric::BuildInfo, "version").first().copied().unwrap_or_default();
    if version != VERSION {
        let message = format!("one of version {version} runs, this is {VERSION}");
        return Finding::new(Case::AgentOther, message);
    }
    if let Some(why) = &agent.not_ready {
        return Finding::new(Case::AgentNotReady, format!("one runs that is not ready: {why}"));
    }
    let attached = scrape.sum(Metric::AttachedInterfaces, None);
    let message = format!("version {version} runs, attached to {attached}");
    Finding::new(Case::AgentRuns, message)
}

pub(super) fn losses(agent: &Agent) -> Finding {
    let Some(scrape) = &agent.metrics else {
        return if agent.runs() {
            Finding::new(Case::LossesUnknown, "the agent's metrics do not answer")
        } else {
            Finding::new(Case::LossesNoAgent, "no agent runs")
        };
    };
    let lost: Vec<(u64, &str, &str)> = LOSSES
        .iter()
        .map(|(metric, label, what, remedy)| (scrape.sum(*metric, *label), *what, *remedy))
        .filter(|(number, ..)| *number > 0)
        .collect();
    let used = scrape.sum(Metric::MapEntries, None);
    let room = scrape.sum(Metric::MapMaxEntries, None);
    let table = format!("flow table {used} of {room}");
    let Some((_, _, remedy)) = lost.first() else {
        return Finding::new(Case::LossesNone, format!("nothing since its start; {table}"));
    };
    let details =
        lost.iter().map(|(number, what, remedy)| format!("{number} {what}: {remedy}")).collect();
    Finding::new(Case::LossesSome, format!("{} kinds since its start; {table}", lost.len()))
        .remedy(*remedy)
        .details(details)
}

pub(super) fn http(listen: &[(SocketAddr, Listen)]) -> Finding {
    let refused: Vec<&str> = listen
        .iter()
        .filter_map(|(_, listen)| match listen {
            Listen::Refused(why) => Some(why.as_str()),
            _ => None,
        })
        .collect();
    if !refused.is_empty() {
        return Finding::new(Case::HttpTaken, refused.join("; "));
    }
    let all: Vec<String> = listen.iter().map(|(address, _)| address.to_string()).collect();
    let all = all.join(", ");
    if listen.iter().any(|(_, listen)| matches!(listen, Listen::Ours)) {
        return Finding::new(Case::HttpOurs, format!("netwatch answers at {all}"));
    }
    Finding::new(Case::HttpFree, format!("{all} can be had"))
}
