//! Conversations as the hooks hand them over, piece by piece.

use std::time::Duration;

use netwatch_common::parse::tcp_flags::{ACK, FIN, RST, SYN};

use super::*;
use crate::{
    flow::Names,
    model::{
        DropSite, Echoes, EntrySide, FlowEvent, FlowPhase, Name, Protocol, SideReading, Socket,
    },
};

const VETH_A: u32 = 4;
const VETH_B: u32 = 6;
pub(super) const MS: u64 = 1_000_000;
pub(super) const SECOND: u64 = 1000 * MS;

pub(super) fn socket(host: u8, port: u16) -> Socket {
    Socket { address: [172, 17, 0, host].into(), port }
}

pub(super) fn tracker() -> Tracker {
    let limits =
        Limits { idle: Duration::from_secs(15), active: Duration::from_mins(1), max_flows: 4 };
    Tracker::new(limits, Edges::new(100))
}

pub(super) fn reading(packets: u64, first: u64, last: u64, tcp_flags: u8) -> SideReading {
    SideReading {
        new: Tally { packets, segments: packets, bytes: packets * 100 },
        first: (packets > 0).then_some(Instant(first)),
        last: (packets > 0).then_some(Instant(last)),
        tcp_flags,
        opened_by: tcp_flags,
        ..SideReading::default()
    }
}

pub(super) fn observation(
    ifindex: u32,
    local: Socket,
    remote: Socket,
    ingress: SideReading,
    egress: SideReading,
) -> Observation {
    Observation {
        ifindex,
        local,
        remote,
        protocol: Protocol::TCP,
        is_inner: false,
        ingress,
        egress,
        fresh: true,
        acknowledged: None,
        echoes: Echoes::default(),
        error: None,
        source_mac: None,
    }
}

fn named(_: &Unnamed<'_>) -> Naming {
    Naming::Final(Names {
        client: Name::External,
        server: Name::External,
        behind: None,
        network: None,
    })
}

pub(super) fn tick(tracker: &mut Tracker, now: u64) -> Vec<FlowEvent> {
    let mut events = Vec::new();
    tracker.tick(Instant(now), &mut |flow| named(flow), &mut |report| events.push(report.event()));
    events
}

pub(super) fn phases(events: &[FlowEvent]) -> Vec<FlowPhase> {
    events.iter().map(|event| event.phase).collect()
}

/// A whole connection as seen at the veths of both ends.
fn connect(tracker: &mut Tracker, at: u64) {
    let (client, server) = (socket(2, 40_000), socket(3, 80));
    let sent = reading(6, at, at + 9 * MS, SYN | ACK | FIN);
    let received = reading(4, at + MS, at + 8 * MS, SYN | ACK | FIN);
    tracker.see(&observation(VETH_A, client, server, sent, received));
    tracker.see(&observation(VETH_B, server, client, received, sent));
}

#[test]
fn a_connection_seen_at_two_veths_is_counted_once() {
    let mut tracker = tracker();
    connect(&mut tracker, SECOND);
    let events = tick(&mut tracker, 2 * SECOND);
    assert_eq!(phases(&events), [FlowPhase::Start, FlowPhase::End(EndReason::Fin)]);
    let flow = &events[1].flow;
    assert_eq!((flow.client.socket, flow.server.socket), (socket(2, 40_000), socket(3, 80)));
    assert_eq!((flow.sent.packets, flow.received.packets), (6, 4));
    assert_eq!(flow.seen.len(), 4, "every hook is kept");
    assert!(flow.seen.iter().any(|seen| {
        (seen.ifindex, seen.side, seen.from_client) == (VETH_B, EntrySide::Egress, true)
    }));
    assert_eq!(tracker.totals().counted.packets, 20, "each hook by itself");
    let (_, traffic) = tracker.edges().snapshot().remove(0);
    assert_eq!((traffic.sent.packets, traffic.received.packets, traffic.connections), (6, 4, 1));
}

#[test]
fn what_is_lost_on_the_way_was_sent_all_the_same() {
    let mut tracker = tracker();
    let (client, server) = (socket(2, 40_000), socket(3, 80));
    let none = SideReading::default();
    tracker.see(&observation(VETH_A, client, server, reading(5, SECOND, SECOND, SYN), none));
    tracker.see(&observation(VETH_B, server, client, none, reading(3, SECOND, SECOND, SYN)));
    let events = tick(&mut tracker, 17 * SECOND);
    assert_eq!(phases(&events), [FlowPhase::Start, FlowPhase::End(EndReason::NoAnswer)]);
    assert_eq!(events[1].flow.sent.packets, 5);
}

#[test]
fn a_drop_is_told_with_its_flow() {
    let mut tracker = tracker();
    connect(&mut tracker, SECOND);
    let (client, server) = (socket(2, 40_000), socket(3, 80));
    let veth = DropPlace::Interface("veth12ab".into());
    let site = DropSite::Host { ifindex: VETH_B };
    let mut drop = |source, destination, reason: &str| {
        let protocol = Protocol::TCP;
        let packet = DroppedPacket { source, destination, protocol, reason: reason.into(), site };
        tracker.observe_drop(&packet, &veth);
    };
    drop(client, server, "netfilter-drop");
    drop(client, server, "netfilter-drop");
    drop(server, client, "netfilter-drop");
    drop(client, server, "no-socket");
    drop(client, socket(9, 80), "no-socket");
    let events = tick(&mut tracker, 2 * SECOND);
    assert_eq!(events.len(), 2, "a drop alone makes no flow");
    let drops = events[1].flow.drops.iter();
    let drops: Vec<_> =
        drops.map(|known| (&*known.reason, known.from_client, known.packets)).collect();
    let expected =
        [("netfilter-drop", true, 2), ("netfilter-drop", false, 1), ("no-socket", true, 1)];
    assert_eq!(drops, expected);
    assert_eq!(events[1].flow.drops[0].ifindex, VETH_B);
}

#[test]
fn readings_of_several_cpus_add_up() {
    let mut tracker = tracker();
    let (client, server) = (socket(2, 40_000), socket(3, 80));
    let none = SideReading::default();
    for _ in 0..3 {
        tracker.see(&observation(VETH_A, client, server, reading(2, SECOND, SECOND, ACK), none));
    }
    assert_eq!(tick(&mut tracker, SECOND + MS)[0].flow.sent.packets, 6);
}

#[test]
fn the_same_ports_again_are_another_flow() {
    let mut tracker = tracker();
    connect(&mut tracker, SECOND);
    connect(&mut tracker, SECOND + 100 * MS);
    let events = tick(&mut tracker, 2 * SECOND);
    let ends: Vec<_> =
        events.iter().filter(|event| event.phase == FlowPhase::End(EndReason::Fin)).collect();
    assert_eq!(ends.len(), 2);
    assert!(ends.iter().all(|event| event.flow.sent.packets == 6), "with counts of its own");
    assert_ne!(ends[0].flow.id, ends[1].flow.id);
}

#[test]
fn stragglers_after_the_end_are_told_and_reach_the_edge() {
    let mut tracker = tracker();
    connect(&mut tracker, SECOND);
    tick(&mut tracker, 2 * SECOND);
    let late = Observation {
        fresh: false,
        ..observation(
            VETH_A,
            socket(2, 40_000),
            socket(3, 80),
            reading(1, 0, 2 * SECOND, SYN | ACK | FIN),
            SideReading::default(),
        )
    };
    tracker.see(&late);
    assert!(tick(&mut tracker, 3 * SECOND).is_empty());
    let events = tick(&mut tracker, 8 * SECOND);
    assert_eq!(phases(&events), [FlowPhase::End(EndReason::Late)]);
    assert_eq!(events[0].flow.sent.packets, 1);
    assert_eq!(tracker.edges().snapshot()[0].1.sent.packets, 7);
}

#[test]
fn a_refused_connection_is_named_so() {
    let mut tracker = tracker();
    let (client, server) = (socket(2, 40_000), socket(3, 81));
    let (syn, rst) =
        (reading(1, SECOND, SECOND, SYN), reading(1, SECOND + MS, SECOND + MS, RST | ACK));
    tracker.see(&observation(VETH_A, client, server, syn, rst));
    let events = tick(&mut tracker, 2 * SECOND);
    assert_eq!(events[1].phase, FlowPhase::End(EndReason::Refused));
}

#[test]
fn whoever_gets_the_address_next_is_somebody_else() {
    let mut tracker = tracker();
    let (client, server) = (socket(2, 40_000), socket(3, 80));
    let none = SideReading::default();
    tracker.see(&observation(VETH_A, client, server, reading(2, SECOND, SECOND, ACK), none));
    tick(&mut tracker, SECOND + MS);
    let mut events = Vec::new();
    let gone = |tracker: &mut Tracker, index, events: &mut Vec<FlowEvent>| {
        tracker.interface_gone(
            index,
            Instant(2 * SECOND),
            &mut |flow| named(flow),
            &mut |report| {
                events.push(report.event());
            },
        );
    };
    gone(&mut tracker, VETH_B, &mut events);
    assert!(events.is_empty(), "nothing was sent into that one");
    gone(&mut tracker, VETH_A, &mut events);
    assert_eq!(phases(&events), [FlowPhase::End(EndReason::Gone)]);
    tracker.see(&observation(8, client, server, reading(3, 3 * SECOND, 3 * SECOND, ACK), none));
    let events = tick(&mut tracker, 4 * SECOND);
    assert_eq!((events[0].phase, events[0].flow.sent.packets), (FlowPhase::Start, 3));
}

#[test]
fn names_are_waited_for_but_not_for_long() {
    let mut tracker = tracker();
    connect(&mut tracker, SECOND);
    let provisional = |flow: &Unnamed<'_>| match named(flow) {
        Naming::Final(names) | Naming::Provisional(names) => Naming::Provisional(names),
    };
    let mut events = Vec::new();
    tracker.tick(Instant(SECOND + 100 * MS), &mut |flow| provisional(flow), &mut |report| {
        events.push(report.event());
    });
    assert!(events.is_empty());
    tracker.tick(Instant(SECOND + 200 * MS), &mut |flow| provisional(flow), &mut |report| {
        events.push(report.event());
    });
    assert_eq!(phases(&events), [FlowPhase::Start]);
}

#[test]
fn better_names_that_come_late_have_what_is_counted_from_then_on() {
    let mut tracker = tracker();
    let (client, server) = (socket(2, 40_000), socket(3, 80));
    let tick = |tracker: &mut Tracker, now, server: Name, is_final| {
        let mut name = |_: &Unnamed<'_>| {
            let names =
                Names { client: Name::Host, server: server.clone(), behind: None, network: None };
            if is_final { Naming::Final(names) } else { Naming::Provisional(names) }
        };
        let mut events = Vec::new();
        tracker
            .tick(Instant(now), &mut name, &mut |report| events.push(phases(&[report.event()])[0]));
        events
    };
    let observe = |tracker: &mut Tracker, packets, at| {
        let none = SideReading::default();
        tracker.see(&observation(VETH_A, client, server, reading(packets, at, at, ACK), none));
    };
    let sent = |tracker: &Tracker| {
        let edges = tracker.edges().snapshot().into_iter();
        let sent = edges.map(|(edge, traffic)| (edge.server.to_string(), traffic.sent.packets));
        sent.collect::<std::collections::BTreeMap<_, _>>()
    };
    let all = |edges: &[(&str, u64)]| {
        edges.iter().map(|(server, packets)| ((*server).to_string(), *packets)).collect()
    };
    let before = Name::External;
    observe(&mut tracker, 1, SECOND);
    assert_eq!(tick(&mut tracker, 2 * SECOND, before.clone(), false), [FlowPhase::Start]);
    assert_eq!(sent(&tracker), all(&[]), "names may come still");
    tick(&mut tracker, 4 * SECOND, before, false);
    assert_eq!(sent(&tracker), all(&[("external", 1)]));
    observe(&mut tracker, 2, 5 * SECOND);
    assert_eq!(sent(&tracker), all(&[("external", 3)]), "at once");
    tick(&mut tracker, 7 * SECOND, Name::Interface("web".into()), true);
    observe(&mut tracker, 4, 8 * SECOND);
    assert_eq!(sent(&tracker), all(&[("external", 3), ("web", 4)]));
    let connections: u64 =
        tracker.edges().snapshot().iter().map(|(_, traffic)| traffic.connections).sum();
    assert_eq!(connections, 1);
}

#[test]
fn an_open_connection_ends_as_soon_as_its_packets_say_so() {
    let mut tracker = tracker();
    let (client, server) = (socket(2, 40_000), socket(3, 80));
    let observe = |tracker: &mut Tracker, at, flags| {
        let both = reading(1, at, at, flags);
        tracker.see(&observation(VETH_A, client, server, both, both));
    };
    observe(&mut tracker, SECOND, ACK);
    assert_eq!(phases(&tick(&mut tracker, 2 * SECOND)), [FlowPhase::Start]);
    observe(&mut tracker, 3 * SECOND, ACK | FIN);
    assert!(tick(&mut tracker, 3 * SECOND + 299 * MS).is_empty());
    let events = tick(&mut tracker, 3 * SECOND + 300 * MS);
    assert_eq!(phases(&events), [FlowPhase::End(EndReason::Fin)]);
    assert_eq!(tracker.totals().active, 0);
}

#[test]
fn beyond_the_limit_packets_have_an_outcome() {
    let mut tracker = tracker();
    for port in 1..=6 {
        let syn = reading(1, SECOND, SECOND, SYN);
        tracker.see(&observation(
            VETH_A,
            socket(2, port),
            socket(3, 80),
            syn,
            SideReading::default(),
        ));
    }
    assert_eq!((tracker.totals().counted.packets, tracker.over_limit().packets), (4, 2));
}

#[test]
fn ended_flows_make_room_soon_where_there_are_many() {
    let mut tracker = tracker();
    connect(&mut tracker, SECOND);
    tick(&mut tracker, 2 * SECOND);
    let (client, server) = (socket(2, 40_001), socket(3, 80));
    let both = reading(2, 2 * SECOND, 2 * SECOND, SYN | ACK | FIN);
    tracker.see(&observation(VETH_A, client, server, both, both));
    tick(&mut tracker, 3 * SECOND);
    assert_eq!(tracker.table.len(), 2, "both take up what still comes");
    tick(&mut tracker, 4 * SECOND);
    assert_eq!(tracker.table.len(), 1, "a quarter of the room is for those that stay longer");
    tick(&mut tracker, 7 * SECOND);
    assert_eq!(tracker.table.len(), 0);
    assert_eq!(tracker.totals().ended[0], (EndReason::Fin, 2));
}

#[test]
fn stopping_ends_everything_once() {
    let mut tracker = tracker();
    let none = SideReading::default();
    tracker.see(&observation(
        VETH_A,
        socket(2, 1),
        socket(3, 80),
        reading(1, SECOND, SECOND, ACK),
        none,
    ));
    let mut events = Vec::new();
    for _ in 0..2 {
        tracker.finish(Instant(SECOND), &mut |flow| named(flow), &mut |report| {
            events.push(report.event());
        });
    }
    assert_eq!(phases(&events), [FlowPhase::Start, FlowPhase::End(EndReason::Shutdown)]);
    assert_eq!(tracker.totals().active, 0);
}

#[test]
fn an_arp_request_without_an_answer_is_told_and_an_announcement_is_not() {
    let mut tracker = tracker();
    for (asked_for, reason) in [(9, EndReason::NoAnswer), (2, EndReason::Idle)] {
        let asks = Observation {
            protocol: Protocol::ARP,
            ..observation(
                VETH_A,
                socket(2, 0),
                socket(asked_for, 0),
                SideReading { opened_by: 1, ..reading(1, SECOND, SECOND, 0) },
                SideReading::default(),
            )
        };
        tracker.see(&asks);
        tick(&mut tracker, 2 * SECOND);
        let ends = tick(&mut tracker, 60 * SECOND);
        assert_eq!(phases(&ends), [FlowPhase::End(reason)], "{asked_for}");
    }
}
