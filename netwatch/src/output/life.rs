//! The line of what happened to a container, in text and in JSON: what it is now and, where that differs, what it was.

use std::{fmt::Write as _, net::IpAddr};

use serde::Serialize;

use super::{Formatter, escape, text, view::rfc3339};
use crate::model::{Appearance, Attachment, Clock, LifeEvent, Unseen};

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

/// The JSON record.
#[derive(Serialize)]
pub(super) struct LifeView<'a> {
    time: String,
    event: &'static str,
    change: &'static str,
    container: ContainerView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<ContainerView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replicas: Option<usize>,
}

#[derive(Serialize)]
struct ContainerView<'a> {
    name: &'a str,
    id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    image: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    networks: Vec<PlaceView<'a>>,
    interfaces: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    shares_with: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    shared_by: &'a [String],
}

#[derive(Serialize)]
struct PlaceView<'a> {
    name: &'a str,
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
