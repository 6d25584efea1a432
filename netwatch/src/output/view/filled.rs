//! The record, filled from the model.

use std::time::Duration;

use jiff::fmt::temporal::DateTimePrinter;
use netwatch_common::outcome::Outcome;

use super::{
    super::{Formatter, fold::Several, passed_on, timestamp},
    DirectionView, DropView, ECN, EchoView, EndView, ErrorView, FlagsView, FlowView, HandshakeView,
    LOST, LossView, RepairsView, SeenView, TallyView, TraitsView, UndeliveredView,
};
use crate::model::{
    Clock, Direction, Echoes, EndReason, Endpoint, EntrySide, FlowEvent, FlowPhase, FlowRecord,
    Instant, Loss, Name, Protocol, Tally,
};

/// The record of a flow event.
pub(in crate::output) fn flow<'a>(
    formatter: &Formatter,
    event: &'a FlowEvent,
    clock: Clock,
) -> FlowView<'a> {
    record(formatter, event.time, event.phase, &event.flow, clock)
}

/// The record of several flows that are over.
pub(in crate::output) fn sum<'a>(
    formatter: &Formatter,
    sum: &'a FlowRecord,
    several: Several,
    clock: Clock,
) -> FlowView<'a> {
    let mut view = record(formatter, sum.last, FlowPhase::End(EndReason::Fin), sum, clock);
    view.reason = None;
    view.flow_id = None;
    view.client.port = None;
    view.several = Some(several);
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
        behind: passed_on::behind(flow),
        via: passed_on::via(flow),
        masquerade: passed_on::masquerade(flow),
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
        echo: echoes(flow.echoes),
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
        several: None,
    }
}

fn echoes(echoes: Echoes) -> Option<EchoView> {
    Some(EchoView { timed: echoes.timed, mean_ns: nanos(echoes.mean()?) })
}

fn direction(tally: Tally, direction: &Direction, is_tcp: bool) -> DirectionView {
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
pub(in crate::output) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The record of a loss.
pub(in crate::output) fn loss(formatter: &Formatter, loss: &Loss, clock: Clock) -> LossView {
    LossView {
        time: rfc3339(formatter, clock, loss.time),
        event: LOST,
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
pub(in crate::output) fn hook(side: EntrySide) -> &'static str {
    match side {
        EntrySide::Ingress => "ingress",
        EntrySide::Egress => "egress",
    }
}

pub(in crate::output) fn end(protocol: Protocol, end: &Endpoint) -> EndView<'_> {
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
        shared_by: container.map_or(&[], |container| &container.shared_by),
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
pub(in crate::output) fn rfc3339(formatter: &Formatter, clock: Clock, instant: Instant) -> String {
    const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(6));
    let timestamp = timestamp(clock, instant);
    PRINTER.timestamp_with_offset_to_string(&timestamp, formatter.zone.to_offset(timestamp))
}
