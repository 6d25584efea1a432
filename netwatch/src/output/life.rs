//! The line of what happened to a container, in text and in JSON: what it is now and, where that differs, what it was.

use std::{fmt::Write as _, net::IpAddr};

use schemars::JsonSchema;
use serde::Serialize;

use super::{Formatter, escape, text, view::rfc3339};
use crate::model::{Appearance, Attachment, Change, Clock, LifeEvent, Unseen};

const CYAN: &str = "\u{1b}[36m";
/// The word of the line.
const WORD: &str = "event";
/// As much of an identifier as the engine's own commands show.
const SHORT_ID: usize = 12;

/// The line for people. `old→new` where something has changed.
pub(super) fn line(formatter: &Formatter, event: &LifeEvent, clock: Clock) -> String {
    let mut line = text::begin(formatter, clock, event.time, WORD, WORD, CYAN);
    let container = &event.now.container;
    let _ = write!(line, " {} {}", text::container_name(container), event.change.name());
    if let Some(network) = &event.network {
        let _ = write!(line, " net={}", escape::value(network));
    }
    if let Some(unseen) = event.unseen {
        let _ = write!(line, " reason={}", unseen.name());
    }
    if let Some(exit) = event.exit {
        let _ = write!(line, " exit={exit}");
    }
    let before = event.before.as_ref();
    if before.is_some_and(|before| before.container.name != container.name) {
        pair(&mut line, "name", event, |one| text::container_name(&one.container));
    }
    if formatter.wide || event.change.is_beginning() {
        pair(&mut line, "id", event, |one| {
            escape::value(&one.container.id.chars().take(SHORT_ID).collect::<String>())
        });
    }
    if event.change.is_beginning() || event.network.is_some() && event.unseen.is_none() {
        pair(&mut line, "veth", event, |one| {
            list(one.veths.iter().map(|veth| escape::value(veth)))
        });
        pair(&mut line, "ip", event, |one| list(addresses(event, one).map(IpAddr::to_string)));
    }
    if let Some(other) = container.shares_with.as_ref().filter(|_| event.change.is_beginning()) {
        let _ = write!(line, " shares-with={}", escape::container(other));
    }
    if let Some(replicas) = event.replicas {
        let service = container.service.as_deref().unwrap_or_default();
        let _ = write!(line, " service={} replicas={replicas}", escape::value(service));
    }
    if formatter.wide && !container.image.is_empty() {
        let _ = write!(line, " image={}", escape::value(&container.image));
    }
    text::finish(line)
}

/// `key=old→new`, or what there is of it.
fn pair(line: &mut String, key: &str, event: &LifeEvent, of: impl Fn(&Appearance) -> String) {
    let now = of(&event.now);
    let before = event.before.as_ref().map(of).filter(|before| !before.is_empty());
    let _ = match before {
        Some(before) if now.is_empty() => write!(line, " {key}={before}→"),
        Some(before) if before != now => write!(line, " {key}={before}→{now}"),
        _ if now.is_empty() => Ok(()),
        _ => write!(line, " {key}={now}"),
    };
}

fn list(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(",")
}

/// Of an event about one network, those in it.
fn addresses<'a>(event: &'a LifeEvent, one: &'a Appearance) -> impl Iterator<Item = &'a IpAddr> {
    let is_meant = |place: &&Attachment| {
        event.network.as_deref().is_none_or(|network| place.network == network)
    };
    one.container.attachments.iter().filter(is_meant).flat_map(|place| &place.addresses)
}

/// Something that happened to a container.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Event")]
pub(super) struct LifeView<'a> {
    /// when it happened, by the engine, as of a flow
    #[schemars(extend("format" = "date-time"))]
    time: String,
    /// `event`
    #[schemars(extend("const" = WORD))]
    event: &'static str,
    /// what happened
    #[schemars(extend("enum" = Change::ALL.map(Change::name)))]
    change: &'static str,
    /// the container as it is now; of `died`: as it was
    container: ContainerView<'a>,
    /// of `restarted`, `recreated` and `renamed`: what it was before
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<ContainerView<'a>>,
    /// of `connected`, `disconnected` and `out-of-sight`: the network that this is about; left out where it is all of its traffic
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<&'a str>,
    /// of `out-of-sight`: why
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = Unseen::ALL.map(Unseen::name)))]
    reason: Option<&'static str>,
    /// of `died`: the exit code; left out where the engine did not say
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i64>,
    /// of a container of a Compose service that came or went: how many of them run now
    #[serde(skip_serializing_if = "Option::is_none")]
    replicas: Option<usize>,
}

/// A container, and what it is seen by.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Container")]
struct ContainerView<'a> {
    /// its name
    name: &'a str,
    /// the engine's identifier
    id: &'a str,
    /// image; left out where unknown
    #[serde(skip_serializing_if = "str::is_empty")]
    image: &'a str,
    /// Compose project; left out where there is none
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a str>,
    /// Compose service; left out where there is none
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    /// the networks that it is in
    networks: Vec<PlaceView<'a>>,
    /// names of its veths on the host
    interfaces: &'a [String],
    /// the container whose network namespace it shares; left out where it has its own
    #[serde(skip_serializing_if = "Option::is_none")]
    shares_with: Option<&'a str>,
    /// the containers that share its network namespace; left out where there are none
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    shared_by: &'a [String],
}

/// A network that a container is in.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Place")]
struct PlaceView<'a> {
    /// its name
    name: &'a str,
    /// the container's addresses there
    addresses: &'a [IpAddr],
}

/// The record of an event.
pub(super) fn view<'a>(formatter: &Formatter, event: &'a LifeEvent, clock: Clock) -> LifeView<'a> {
    LifeView {
        time: rfc3339(formatter, clock, event.time),
        event: WORD,
        change: event.change.name(),
        container: container(&event.now),
        before: event.before.as_ref().map(container),
        network: event.network.as_deref(),
        reason: event.unseen.map(Unseen::name),
        exit_code: event.exit,
        replicas: event.replicas,
    }
}

fn container(Appearance { container, veths }: &Appearance) -> ContainerView<'_> {
    ContainerView {
        name: &container.name,
        id: &container.id,
        image: &container.image,
        project: container.project.as_deref(),
        service: container.service.as_deref(),
        networks: container
            .attachments
            .iter()
            .map(|place| PlaceView { name: &place.network, addresses: &place.addresses })
            .collect(),
        interfaces: veths,
        shares_with: container.shares_with.as_deref(),
        shared_by: &container.shared_by,
    }
}
