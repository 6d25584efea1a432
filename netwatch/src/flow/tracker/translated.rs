//! Connections that are passed on under other addresses.

use netwatch_common::parse::tcp_flags::{ACK, FIN, SYN};

use super::{
    tests::{MS, SECOND, observation, phases, reading, socket, tick, tracker},
    *,
};
use crate::model::{DropSite, FlowEvent, Protocol, SideReading, Translator};

const VETH_CLI: u32 = 4;
const BRIDGE: u32 = 5;
const VETH_WEB: u32 = 6;

/// A client calls port 8080 of the host; port 80 of a container answers.
fn published(by: Translator) -> Translation {
    let masked = if by == Translator::Proxy { socket(1, 50_000) } else { socket(3, 40_000) };
    Translation {
        protocol: Protocol::TCP,
        client: socket(3, 40_000),
        called: socket(1, 8080),
        server: socket(2, 80),
        masked,
        by,
    }
}

/// A whole connection of six packets and four, as the client's veth sees it.
fn client_leg(tracker: &mut Tracker, known: &Translation, at: u64) {
    let sent = reading(6, at, at + 9 * MS, SYN | ACK | FIN);
    let received = reading(4, at + MS, at + 8 * MS, SYN | ACK | FIN);
    tracker.see(&observation(VETH_CLI, known.client, known.called, sent, received));
}

/// The same as the bridge and the server's veth see it; of the client's packets one was lost.
fn server_leg(tracker: &mut Tracker, known: &Translation, at: u64) {
    let sent = reading(5, at, at + 9 * MS, SYN | ACK | FIN);
    let received = reading(4, at + MS, at + 8 * MS, SYN | ACK | FIN);
    tracker.see(&observation(BRIDGE, known.server, known.masked, SideReading::default(), sent));
    tracker.see(&observation(VETH_WEB, known.server, known.masked, received, sent));
}

fn is_one(events: &[FlowEvent], tracker: &Tracker) {
    let ids: Vec<_> = events.iter().map(|event| event.flow.id).collect();
    assert!(ids.windows(2).all(|two| two[0] == two[1]), "one flow: {events:?}");
    let flow = &events.last().unwrap().flow;
    let known = flow.translation.unwrap();
    assert_eq!((flow.client.socket, flow.server.socket), (known.client, known.server));
    assert_eq!((flow.sent.packets, flow.received.packets), (6, 4));
    assert_eq!(flow.seen.len(), 5, "every hook is kept");
    let edges = tracker.edges().snapshot();
    let packets = |pick: fn(&(_, crate::model::EdgeTraffic)) -> Tally| {
        edges.iter().map(pick).fold(Tally::ZERO, |sum, tally| sum + tally).packets
    };
    assert_eq!((packets(|edge| edge.1.sent), packets(|edge| edge.1.received)), (6, 4));
    assert_eq!(tracker.totals().counted.packets, 10 + 5 + 9);
}

#[test]
fn both_legs_are_one_flow_whenever_the_translation_is_told() {
    for by in [Translator::Kernel, Translator::Proxy] {
        for told_before in 0..3 {
            let (mut tracker, known) = (tracker(), published(by));
            let tell = |tracker: &mut Tracker, step| {
                if step == told_before {
                    tracker.translate(known);
                }
            };
            tell(&mut tracker, 0);
            client_leg(&mut tracker, &known, SECOND);
            tell(&mut tracker, 1);
            // A start may have been told by then, of another server.
            let mut events = tick(&mut tracker, SECOND + 20 * MS);
            tell(&mut tracker, 2);
            server_leg(&mut tracker, &known, SECOND);
            events.extend(tick(&mut tracker, 2 * SECOND));
            assert_eq!(phases(&events), [FlowPhase::Start, FlowPhase::End(EndReason::Fin)]);
            assert_eq!(events[0].flow.translation.is_some(), told_before < 2);
            is_one(&events, &tracker);
        }
    }
}

#[test]
fn the_servers_leg_may_come_first_or_alone() {
    let (mut tracker, known) = (tracker(), published(Translator::Kernel));
    tracker.translate(known);
    server_leg(&mut tracker, &known, SECOND);
    client_leg(&mut tracker, &known, SECOND);
    is_one(&tick(&mut tracker, 2 * SECOND), &tracker);

    let masqueraded = Translation { masked: socket(1, 50_000), ..known };
    let mut tracker = super::tests::tracker();
    tracker.translate(masqueraded);
    server_leg(&mut tracker, &masqueraded, SECOND);
    let events = tick(&mut tracker, 2 * SECOND);
    let flow = &events[1].flow;
    assert_eq!((flow.client.socket, flow.server.socket), (known.client, known.server));
    assert_eq!((flow.translation, flow.sent.packets), (Some(masqueraded), 5));
    // Between the places where the kernel changes the one end and the other.
    let none = SideReading::default();
    let received = reading(4, SECOND, SECOND, ACK);
    tracker.see(&observation(BRIDGE, known.server, known.client, received, none));
    let events = tick(&mut tracker, 2 * SECOND);
    assert!(events.is_empty(), "no other flow: {events:?}");
}

#[test]
fn legs_that_were_told_apart_stay_apart() {
    let (mut tracker, known) = (tracker(), published(Translator::Kernel));
    client_leg(&mut tracker, &known, SECOND);
    server_leg(&mut tracker, &known, SECOND);
    let mut events = tick(&mut tracker, SECOND + 20 * MS);
    tracker.translate(known);
    events.extend(tick(&mut tracker, 2 * SECOND));
    assert_eq!(events.len(), 4);
    assert!(events.iter().all(|event| event.flow.translation.is_none()));
}

#[test]
fn the_same_ports_again_may_lead_elsewhere() {
    let (mut tracker, known) = (tracker(), published(Translator::Kernel));
    tracker.translate(known);
    client_leg(&mut tracker, &known, SECOND);
    server_leg(&mut tracker, &known, SECOND);
    tick(&mut tracker, 2 * SECOND);
    let other = Translation { server: socket(7, 80), ..known };
    tracker.translate(other);
    server_leg(&mut tracker, &other, 3 * SECOND);
    client_leg(&mut tracker, &other, 3 * SECOND);
    let events = tick(&mut tracker, 4 * SECOND);
    let flow = &events.last().unwrap().flow;
    assert_eq!((flow.translation, flow.server.socket), (Some(other), other.server));
    assert_eq!((flow.sent.packets, flow.seen.len()), (6, 5));

    tracker.pass_on_as_is(&other.keys().next().unwrap());
    client_leg(&mut tracker, &other, 6 * SECOND);
    let events = tick(&mut tracker, 7 * SECOND);
    assert_eq!(events.last().unwrap().flow.server.socket, other.called);
}

#[test]
fn a_handshake_with_a_proxy_is_the_clients() {
    let known = published(Translator::Proxy);
    for client_first in [true, false] {
        let mut tracker = tracker();
        tracker.translate(known);
        if client_first {
            client_leg(&mut tracker, &known, SECOND);
        }
        server_leg(&mut tracker, &known, SECOND + 5 * MS);
        if !client_first {
            client_leg(&mut tracker, &known, SECOND);
        }
        let events = tick(&mut tracker, 2 * SECOND);
        let handshake = events[0].flow.handshake.unwrap();
        assert_eq!(handshake.answered, std::time::Duration::from_millis(1));
        assert_eq!(handshake.network(), std::time::Duration::ZERO);
    }
}

#[test]
fn a_drop_of_either_leg_is_the_flows() {
    let (mut tracker, known) = (tracker(), published(Translator::Kernel));
    tracker.translate(known);
    client_leg(&mut tracker, &known, SECOND);
    let site = DropSite::Host { ifindex: BRIDGE };
    for [source, destination] in [[known.client, known.called], [known.server, known.masked]] {
        let (protocol, reason) = (Protocol::TCP, "netfilter-drop".into());
        let packet = DroppedPacket { source, destination, protocol, reason, site };
        tracker.observe_drop(&packet, &DropPlace::Interface("docker0".into()));
    }
    let events = tick(&mut tracker, 2 * SECOND);
    let drops: Vec<_> = events[1].flow.drops.iter().map(|drop| drop.from_client).collect();
    assert_eq!(drops, [true, false]);
}
