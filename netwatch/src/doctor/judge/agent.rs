//! A running agent, what it has lost, and the address that it needs.

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

/// Something that an agent can lose.
struct Loss {
    metric: Metric,
    label: Option<(&'static str, &'static str)>,
    /// What, behind its number.
    what: &'static str,
    /// What helps.
    remedy: &'static str,
}

const LOSSES: [Loss; 14] = [
    Loss {
        metric: Metric::PacketOutcomes,
        label: Some(("outcome", Outcome::FlowTableFull.name())),
        what: "packets in no flow, because flow table and ring were full",
        remedy: "raise --max-flows, or exclude what is not wanted (--exclude-net, --exclude-port)",
    },
    Loss {
        metric: Metric::PacketOutcomes,
        label: Some(("outcome", Outcome::FlowLimit.name())),
        what: "packets in no flow, because as many flows were tracked as may be",
        remedy: "raise --max-flows",
    },
    Loss {
        metric: Metric::PacketOutcomes,
        label: Some(("outcome", Outcome::FlowEntryBusy.name())),
        what: "packets in no flow, because their entry was being written",
        remedy: "nothing: it is rare, and counted",
    },
    Loss {
        metric: Metric::PacketOutcomes,
        label: Some(("outcome", Outcome::UnknownInterface.name())),
        what: "packets of interfaces without a slot",
        remedy: "observe fewer interfaces (--interface, --exclude)",
    },
    Loss {
        metric: Metric::SamplesLost,
        label: None,
        what: "samples, because their ring was full",
        remedy: "raise --sample-rate",
    },
    Loss {
        metric: Metric::DnsMessagesLost,
        label: Some(("reason", "ring-full")),
        what: "DNS messages, because their ring was full",
        remedy: "lower --dns-rate, or give the agent more CPU",
    },
    Loss {
        metric: Metric::DnsMessagesLost,
        label: Some(("reason", "rate-limit")),
        what: "DNS messages beyond --dns-rate",
        remedy: "raise --dns-rate",
    },
    Loss {
        metric: Metric::DropDetailsLost,
        label: None,
        what: "dropped packets whose flow was not told",
        remedy: "nothing: netwatch_dropped_packets_total has them",
    },
    Loss {
        metric: Metric::DropsMissed,
        label: None,
        what: "drops that the kernel did not show",
        remedy: "nothing: it showed another one on that CPU",
    },
    Loss {
        metric: Metric::ConntrackOverruns,
        label: None,
        what: "times that connections were not heard of in time",
        remedy: "nothing: all are listed again; give the agent more CPU",
    },
    Loss {
        metric: Metric::LinkOverruns,
        label: None,
        what: "times that interfaces were not heard of in time",
        remedy: "nothing: all are listed again; give the agent more CPU",
    },
    Loss {
        metric: Metric::DetachedByOthers,
        label: None,
        what: "times that somebody else detached netwatch's programs",
        remedy: "find who does it; see the agent's log for 'has detached' and `doctor`'s other programs",
    },
    Loss {
        metric: Metric::FlowLogLinesLost,
        label: None,
        what: "lines of the flow log",
        remedy: "see that its disk has room and keeps up",
    },
    Loss {
        metric: Metric::AttachFailures,
        label: None,
        what: "attaches that failed",
        remedy: "see the agent's log for 'cannot attach'",
    },
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
    let lost: Vec<(u64, &Loss)> = LOSSES
        .iter()
        .map(|loss| (scrape.sum(loss.metric, loss.label), loss))
        .filter(|(number, _)| *number > 0)
        .collect();
    let used = scrape.sum(Metric::MapEntries, None);
    let room = scrape.sum(Metric::MapMaxEntries, None);
    let table = format!("flow table {used} of {room}");
    let Some((_, first)) = lost.first() else {
        return Finding::new(Case::LossesNone, format!("nothing since its start; {table}"));
    };
    let line = |(number, loss): &(u64, &Loss)| format!("{number} {}: {}", loss.what, loss.remedy);
    let details = lost.iter().map(line).collect();
    Finding::new(Case::LossesSome, format!("{} kinds since its start; {table}", lost.len()))
        .remedy(first.remedy)
        .details(details)
}

pub(super) fn http(listen: &[(String, Listen)]) -> Finding {
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
    let all: Vec<&str> = listen.iter().map(|(place, _)| place.as_str()).collect();
    let all = all.join(", ");
    if listen.iter().any(|(_, listen)| matches!(listen, Listen::Ours)) {
        return Finding::new(Case::HttpOurs, format!("netwatch answers at {all}"));
    }
    Finding::new(Case::HttpFree, format!("{all} can be had"))
}
