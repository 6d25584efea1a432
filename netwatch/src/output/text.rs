//! The line for people: who, then `key=value`. The initiator stands on the left.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use super::{Formatter, escape, human, passed_on, timestamp, wide};
use crate::model::{
    Clock, Container, DropPlace, EndReason, Endpoint, FlowDrop, FlowEvent, FlowPhase, FlowRecord,
    IcmpError, Instant, Loss, Name, Protocol, Tally, Undelivered,
};

/// Width of `start tcp`, `end   icmp`, `update tcp`: names begin in one column.
const HEAD: usize = 10;
/// Width of the two ends, beyond which a line grows.
const ENDS: usize = 25;

const GREEN: &str = "\u{1b}[32m";
const BLUE: &str = "\u{1b}[34m";
pub(super) const YELLOW: &str = "\u{1b}[33m";
const RED: &str = "\u{1b}[31m";
const PLAIN: &str = "\u{1b}[0m";

/// The line of a flow event.
pub(super) fn flow(formatter: &Formatter, event: &FlowEvent, clock: Clock) -> String {
    let FlowEvent { time, phase, flow } = event;
    let colour = match phase {
        FlowPhase::Start => GREEN,
        FlowPhase::Update => BLUE,
        FlowPhase::End(_) => YELLOW,
    };
    let word = phase.name();
    let head = format!("{word:<5} {}", flow.protocol);
    let mut line = begin(formatter, clock, *time, &head, word, colour);

    ends(&mut line, &[&flow.client, &flow.server].map(|one| end(flow.protocol, one)));
    network(&mut line, flow);
    if formatter.wide {
        wide::flow(&mut line, flow);
    }
    if *phase != FlowPhase::Start {
        counts(&mut line, flow);
        if let Some(round_trip) = flow.round_trip() {
            let _ = write!(line, " rtt={}", human::duration(round_trip));
        }
        let _ = write!(line, " dur={}", human::duration(flow.duration()));
        troubles(&mut line, flow);
    }
    // Without a handshake every flow ends by being idle, so that says nothing.
    if let FlowPhase::End(reason) = phase
        && (flow.protocol == Protocol::TCP || *reason != EndReason::Idle)
    {
        let _ = write!(line, " end={}", reason.name());
    }
    if flow.echo {
        line.push_str(" echo");
    }
    finish(line)
}

/// Whom the server's port leads to or by which the server was reached, and by which network.
pub(super) fn network(line: &mut String, flow: &FlowRecord) {
    if let Some(behind) = &flow.behind {
        let _ = write!(line, " behind={}:{}", escape::container(&behind.name), behind.port);
    }
    passed_on::write_via(line, flow);
    if let Some(network) = &flow.network {
        let _ = write!(line, " net={}", escape::value(network));
    }
}

pub(super) fn counts(line: &mut String, flow: &FlowRecord) {
    let _ = write!(line, " sent={} recv={}", tally(flow.sent), tally(flow.received));
}

/// What a reader should not miss, left out where there is nothing.
pub(super) fn troubles(line: &mut String, flow: &FlowRecord) {
    quality(line, flow);
    if !flow.drops.is_empty() {
        let _ = write!(line, " dropped={}", drops(&flow.drops));
    }
    if let Some(Undelivered { from_client, from_server, place }) = &flow.undelivered {
        let _ = write!(line, " undelivered={}", from_client.saturating_add(*from_server));
        if let Some(place) = place {
            let _ = write!(line, "@{}", escape::value(place));
        }
    }
}

fn quality(line: &mut String, flow: &FlowRecord) {
    let (client, server) = (&flow.from_client, &flow.from_server);
    let pairs = [
        ("retrans", client.repairs.retransmitted, server.repairs.retransmitted),
        ("late", client.repairs.out_of_order, server.repairs.out_of_order),
    ];
    for (key, from_client, from_server) in pairs {
        if from_client != 0 || from_server != 0 {
            let _ = write!(line, " {key}={from_client}/{from_server}");
        }
    }
    let who = match (client.traits.zero_window, server.traits.zero_window) {
        (true, true) => Some("both"),
        (true, false) => Some("client"),
        (false, true) => Some("server"),
        (false, false) => None,
    };
    if let Some(who) = who {
        let _ = write!(line, " zero-window={who}");
    }
    if let Some(IcmpError { kind, code }) = flow.error {
        let _ = write!(line, " icmp-error={kind}/{code}");
    }
}

/// The line of a loss.
pub(super) fn loss(formatter: &Formatter, loss: &Loss, clock: Clock) -> String {
    let mut line = begin(formatter, clock, loss.time, "lost", "lost", RED);
    let _ = write!(line, " {} packets={}", loss.outcome.name(), loss.tally.segments);
    if formatter.wide {
        let _ = write!(line, " bytes={}", human::bytes(loss.tally.bytes));
    }
    finish(line)
}

/// Both ends, with room for short names.
pub(super) fn ends(line: &mut String, [left, right]: &[String; 2]) {
    let ends = format!("{left} -> {right}");
    let _ = write!(line, " {ends:<ENDS$}");
}

/// Time of day and the padded head, in which `word` comes first and may have a colour.
pub(super) fn begin(
    formatter: &Formatter,
    clock: Clock,
    time: Instant,
    head: &str,
    word: &str,
    colour: &str,
) -> String {
    let time = formatter.zone.to_datetime(timestamp(clock, time));
    let (hour, minute, second, milli) =
        (time.hour(), time.minute(), time.second(), time.millisecond());
    let mut line = format!("{hour:02}:{minute:02}:{second:02}.{milli:03} {head:<HEAD$}");
    if formatter.colour
        && let Some(at) = line.find(word)
    {
        line.replace_range(at..at + word.len(), &format!("{colour}{word}{PLAIN}"));
    }
    line
}

/// No blanks at the end of a line that has no network.
pub(super) fn finish(mut line: String) -> String {
    line.truncate(line.trim_end().len());
    line.push('\n');
    line
}

fn tally(tally: Tally) -> String {
    format!("{}/{}", tally.segments, human::bytes(tally.bytes))
}

/// `3/netfilter-drop@br-12ab,1/no-socket@in:web`: both directions together.
fn drops(drops: &[FlowDrop]) -> String {
    let mut places = BTreeMap::<_, u64>::new();
    for known in drops {
        let packets = places.entry((&known.place, &known.reason)).or_default();
        *packets = packets.saturating_add(known.packets);
    }
    let one = |((place, reason), packets): ((&DropPlace, &Arc<str>), u64)| {
        let place = match place {
            DropPlace::Interface(name) => escape::value(name),
            DropPlace::Inside(container) => format!("in:{}", escape::end(container)),
        };
        format!("{packets}/{}@{place}", escape::value(reason))
    };
    places.into_iter().map(one).collect::<Vec<_>>().join(",")
}

/// `web:80`, `host:22`, `8.8.8.8:53`, `db.example.com(192.0.2.7):443`, `[2001:db8::1]:443`, `172.17.0.3%veth12ab:80`; the port only where there is one.
pub(super) fn end(protocol: Protocol, end: &Endpoint) -> String {
    let (name, is_ipv6) = name(end);
    match (protocol.has_ports(), is_ipv6) {
        (false, _) => name,
        (true, false) => format!("{name}:{}", end.socket.port),
        (true, true) => format!("[{name}]:{}", end.socket.port),
    }
}

/// The name, or the address where there is none, and whether that is one of IPv6.
pub(super) fn name(end: &Endpoint) -> (String, bool) {
    match &end.name {
        Name::Container(container) => (container_name(container), false),
        Name::Host => ("host".to_owned(), false),
        Name::Interface(interface) => {
            (format!("{}%{}", end.address(), escape::end(interface)), end.address().is_ipv6())
        }
        Name::Domain(domain) => (format!("{}({})", escape::end(domain), end.address()), false),
        Name::Multicast | Name::Broadcast | Name::External => {
            (end.address().to_string(), end.address().is_ipv6())
        }
    }
}

/// The name, or what an engine that has not named it yet lets us have.
pub(super) fn container_name(container: &Container) -> String {
    if !container.name.is_empty() {
        return escape::container(&container.name);
    }
    let id: String = container.id.chars().take(12).collect();
    if id.is_empty() { "?".to_owned() } else { escape::container(&id) }
}
