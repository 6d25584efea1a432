//! The JSON record: what docs/flow-log.md documents. A field is renamed or removed only with a new major version.

use std::{net::IpAddr, time::Duration};

use jiff::fmt::temporal::DateTimePrinter;
use netwatch_common::outcome::Outcome;
use serde::Serialize;

use super::{Formatter, timestamp};
use crate::model::{
    Clock, Direction, EndReason, Endpoint, EntrySide, FlowEvent, FlowPhase, FlowRecord, Instant,
    Loss, Name, Protocol, Tally,
};

/// A flow event.
#[derive(Serialize)]
pub(super) struct FlowView<'a> {
    time: String,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow_id: Option<u64>,
    protocol: String,
    client: EndView<'a>,
    server: EndView<'a>,
    network: Option<&'a str>,
    sent: DirectionView,
    received: DirectionView,
    first: String,
    last: String,
    duration_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp_flags: Option<FlagsView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    handshake: Option<HandshakeView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_echo: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    echo: Option<EchoView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_error: Option<ErrorView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_mac: Option<String>,
    seen: Vec<SeenView<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    drops: Vec<DropView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    undelivered: Option<UndeliveredView<'a>>,
}

#[derive(Serialize)]
struct UndeliveredView<'a> {
    from_client: u64,
    from_server: u64,
    place: Option<&'a str>,
}

/// A loss.
#[derive(Serialize)]
pub(super) struct LossView {
    time: String,
    event: &'static str,
    reason: &'static str,
    #[serde(flatten)]
    tally: TallyView,
}

#[derive(Serialize)]
pub(super) struct EndView<'a> {
    name: &'a str,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    address: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
}

#[derive(Serialize)]
struct TallyView {
    packets: u64,
    bytes: u64,
    skbs: u64,
}

#[derive(Serialize)]
struct DirectionView {
    #[serde(flatten)]
    tally: TallyView,
    #[serde(flatten)]
    repairs: Option<RepairsView>,
    #[serde(flatten)]
    traits: Option<TraitsView>,
}

/// Only of TCP.
#[derive(Serialize)]
struct RepairsView {
    retransmitted: u64,
    out_of_order: u64,
    zero_window: bool,
}

/// Only where there was a packet.
#[derive(Serialize)]
struct TraitsView {
    largest: u16,
    ttl_min: u8,
    ttl_max: u8,
    dscp: u8,
    ecn: Vec<&'static str>,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "a field's unit is part of its name in the record")]
struct HandshakeView {
    answered_ns: u64,
    network_ns: u64,
    server_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_ns: Option<u64>,
}

#[derive(Serialize)]
struct EchoView {
    timed: u64,
    mean_ns: u64,
}

#[derive(Serialize)]
struct ErrorView {
    #[serde(rename = "type")]
    kind: u8,
    code: u8,
}

#[derive(Serialize)]
struct FlagsView {
    client: String,
    server: String,
}

#[derive(Serialize)]
struct SeenView<'a> {
    ifindex: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<&'a str>,
    hook: &'static str,
    from: &'static str,
    #[serde(flatten)]
    tally: TallyView,
}

#[derive(Serialize)]
struct DropView<'a> {
    reason: &'a str,
    place: String,
    ifindex: u32,
    from: &'static str,
    packets: u64,
}

/// The record of a flow event.
pub(super) fn flow<'a>(formatter: &Formatter, event: &'a FlowEvent, clock: Clock) -> FlowView<'a> {
    record(formatter, event.time, event.phase, &event.flow, clock)
}

/// The record of several flows that are over, as far as it is that of one.
pub(super) fn sum<'a>(formatter: &Formatter, sum: &'a FlowRecord, clock: Clock) -> FlowView<'a> {
    let mut view = record(formatter, sum.last, FlowPhase::End(EndReason::Fin), sum, clock);
    view.reason = None;
    view.flow_id = None;
    view.client.port = None;
    view
}

fn record<'a>(
    formatter: &Formatter,
    time: Instant,
    phase: FlowPhase,
    flow: &'a FlowRecord,
    clock: Clock,
) -> FlowView<'a> {
    let is_tcp = flow.protocol == Protocol::TCP;
    FlowView {
        time: rfc3339(formatter, clock, time),
        event: phase.name(),
        reason: match phase {
            FlowPhase::End(reason) => Some(EndReason::name(reason)),
            FlowPhase::Start | FlowPhase::Update => None,
        },
        flow_id: Some(flow.id),
        protocol: flow.protocol.to_string(),
        client: end(flow.protocol, &flow.client),
        server: end(flow.protocol, &flow.server),
        network: flow.network.as_deref(),
        sent: direction(flow.sent, &flow.from_client, is_tcp),
        received: direction(flow.received, &flow.from_server, is_tcp),
        first: rfc3339(formatter, clock, flow.first),
        last: rfc3339(formatter, clock, flow.last),
        // Not through Duration: the difference of two u64 is one.
        duration_ns: flow.last.0.saturating_sub(flow.first.0),
        tcp_flags: is_tcp.then(|| FlagsView {
            client: flags(flow.from_client.tcp_flags),
            server: flags(flow.from_server.tcp_flags),
        }),
        handshake: flow.handshake.map(|handshake| HandshakeView {
            answered_ns: nanos(handshake.answered),
            network_ns: nanos(handshake.network()),
            server_ns: nanos(handshake.server),
            client_ns: handshake.client.map(nanos),
        }),
        icmp_echo: flow.protocol.is_icmp().then_some(flow.echo),
        echo: flow
            .echoes
            .mean()
            .map(|mean| EchoView { timed: flow.echoes.timed, mean_ns: nanos(mean) }),
        icmp_error: flow.error.map(|error| ErrorView { kind: error.kind, code: error.code }),
        source_mac: flow.source_mac.map(|mac| mac.to_string()),
        seen: flow
            .seen
            .iter()
            .map(|seen| SeenView {
                ifindex: seen.ifindex,
                interface: flow.interface_name(seen.ifindex),
                hook: hook(seen.side),
                from: if seen.from_client { "client" } else { "server" },
                tally: seen.tally.into(),
            })
            .collect(),
        drops: flow
            .drops
            .iter()
            .map(|known| DropView {
                reason: &known.reason,
                place: known.place.to_string(),
                ifindex: known.ifindex,
                from: if known.from_client { "client" } else { "server" },
                packets: known.packets,
            })
            .collect(),
        undelivered: flow.undelivered.as_ref().map(|missing| UndeliveredView {
            from_client: missing.from_client,
            from_server: missing.from_server,
            place: missing.place.as_deref(),
        }),
    }
}

fn direction(tally: Tally, direction: &Direction, is_tcp: bool) -> DirectionView {
    const ECN: [&str; 4] = ["not-ect", "ect1", "ect0", "ce"];
    let Direction { repairs, traits, .. } = direction;
    let seen = |bit: &usize| traits.ecn & (1 << bit) != 0;
    DirectionView {
        tally: tally.into(),
        repairs: is_tcp.then_some(RepairsView {
            retransmitted: repairs.retransmitted,
            out_of_order: repairs.out_of_order,
            zero_window: traits.zero_window,
        }),
        traits: (traits.largest != 0).then(|| TraitsView {
            largest: traits.largest,
            ttl_min: traits.ttl_min,
            ttl_max: traits.ttl_max,
            dscp: traits.dscp,
            ecn: (0..ECN.len()).filter(seen).map(|bit| ECN[bit]).collect(),
        }),
    }
}

/// More than five hundred years are as good as that.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The record of a loss.
pub(super) fn loss(formatter: &Formatter, loss: &Loss, clock: Clock) -> LossView {
    LossView {
        time: rfc3339(formatter, clock, loss.time),
        event: "lost",
        reason: Outcome::name(loss.outcome),
        tally: loss.tally.into(),
    }
}

impl From<Tally> for TallyView {
    fn from(tally: Tally) -> Self {
        Self { packets: tally.segments, bytes: tally.bytes, skbs: tally.packets }
    }
}

/// The word for a hook.
pub(super) fn hook(side: EntrySide) -> &'static str {
    match side {
        EntrySide::Ingress => "ingress",
        EntrySide::Egress => "egress",
    }
}

pub(super) fn end(protocol: Protocol, end: &Endpoint) -> EndView<'_> {
    let container = end.container();
    EndView {
        name: end.label(),
        kind: end.name.kind(),
        domain: match &end.name {
            Name::Domain(domain) => Some(domain),
            _ => None,
        },
        container_id: container.map(|container| container.id.as_str()),
        image: container
            .map(|container| container.image.as_str())
            .filter(|image| !image.is_empty()),
        project: container.and_then(|container| container.project.as_deref()),
        service: container.and_then(|container| container.service.as_deref()),
        address: end.address(),
        port: protocol.has_ports().then_some(end.socket.port),
        mac: end.mac().map(|mac| mac.to_string()),
    }
}

/// The letters of tcpdump, in its order.
fn flags(flags: u8) -> String {
    const LETTERS: [(u8, char); 8] = [
        (0x01, 'F'),
        (0x02, 'S'),
        (0x04, 'R'),
        (0x08, 'P'),
        (0x10, '.'),
        (0x20, 'U'),
        (0x40, 'E'),
        (0x80, 'W'),
    ];
    LETTERS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, letter)| letter).collect()
}

/// Microseconds always, so that lines sort as text within one offset.
pub(super) fn rfc3339(formatter: &Formatter, clock: Clock, instant: Instant) -> String {
    const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(6));
    let timestamp = timestamp(clock, instant);
    PRINTER.timestamp_with_offset_to_string(&timestamp, formatter.zone.to_offset(timestamp))
}
