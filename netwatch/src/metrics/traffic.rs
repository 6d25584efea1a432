//! Identity, interfaces, containers, edges, flows and the ledger.

use std::collections::HashSet;

use netwatch_common::{ABI_VERSION, outcome::Outcome};

use super::{catalogue::Metric, family::Families};
use crate::model::{
    Container, Edge, EdgeTraffic, EndReason, FlowTotals, InterfaceCounters, InterfaceSnapshot,
    Snapshot,
};

/// The revision that was built; the build sets it where it knows.
const REVISION: &str = match option_env!("NETWATCH_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// What those are called that have no series of their own.
const OTHERS: &str = "other";

/// Adds everything about traffic.
pub(super) fn collect(snapshot: &Snapshot, families: &mut Families) {
    families
        .info(Metric::BuildInfo, [env!("CARGO_PKG_VERSION"), REVISION, &ABI_VERSION.to_string()]);
    let [of_containers, of_interfaces, of_unseen] = snapshot.shares.infos;
    families.limit(Metric::ContainerInfo, of_containers);
    families.limit(Metric::InterfaceInfo, of_interfaces);
    families.limit(Metric::ContainerOutOfSight, of_unseen);
    // Those that have series of their own before those that are among the others.
    let named: HashSet<&str> = snapshot.containers.iter().map(|one| &*one.container).collect();
    let (own, others): (Vec<_>, Vec<_>) =
        snapshot.known.iter().partition(|container| named.contains(&*container.name));
    for container in own.into_iter().chain(others) {
        container_info(container, families);
    }
    for (container, unseen) in &snapshot.out_of_sight {
        let network = unseen.network.as_deref().unwrap_or_default();
        let labels = [container.name.as_str(), network, unseen.reason.name()];
        families.info(Metric::ContainerOutOfSight, labels);
    }
    for interface in &snapshot.interfaces {
        self::interface(interface, families);
    }
    if let Some(counters) = &snapshot.other_interfaces {
        interface_counters(OTHERS, counters, families);
    }
    for (kind, count) in snapshot.folded {
        families.add(Metric::NamesFolded, [kind], count as u64);
    }
    for traffic in &snapshot.containers {
        let labels = [&*traffic.container, &*traffic.network];
        families.add(Metric::ContainerReceivePackets, labels, traffic.receive.segments);
        families.add(Metric::ContainerReceiveBytes, labels, traffic.receive.bytes);
        families.add(Metric::ContainerTransmitPackets, labels, traffic.transmit.segments);
        families.add(Metric::ContainerTransmitBytes, labels, traffic.transmit.bytes);
    }
    for (edge, traffic) in &snapshot.edges {
        self::edge(edge, traffic, families);
    }
    families.add(Metric::EdgesFolded, [], snapshot.edges_folded);
    flows(&snapshot.flows, families);
    for (server, times) in &snapshot.times.handshakes {
        families.times(Metric::HandshakeSeconds, [server], times);
    }
    for (server, times) in &snapshot.times.echoes {
        families.times(Metric::EchoSeconds, [server], times);
    }
    ledger(snapshot, families);
    for dropped in &snapshot.dropped {
        let labels = [&*dropped.container, &*dropped.reason, &*dropped.place];
        families.add(Metric::DroppedPackets, labels, dropped.packets);
    }
    for undelivered in &snapshot.undelivered {
        let labels = [&*undelivered.container, &*undelivered.place];
        families.add(Metric::UndeliveredPackets, labels, undelivered.packets);
        families.exemplify(Metric::UndeliveredPackets, labels, undelivered.last);
    }
}

/// One series per network and address. A container without a network of its own has one that says whose it uses.
fn container_info(container: &Container, families: &mut Families) {
    let mut add = |network: &str, address: &str| {
        let project = container.project.as_deref().unwrap_or_default();
        let service = container.service.as_deref().unwrap_or_default();
        let Container { id, name, image, .. } = container;
        families.info(Metric::ContainerInfo, [name, id, image, project, service, network, address]);
    };
    for attachment in &container.attachments {
        for address in &attachment.addresses {
            add(&attachment.network, &address.to_string());
        }
        if attachment.addresses.is_empty() {
            add(&attachment.network, "");
        }
    }
    if container.attachments.is_empty() {
        match &container.shares_with {
            Some(other) => add(&format!("container:{other}"), ""),
            None if container.host_network => add("host", ""),
            None => add("", ""),
        }
    }
}

fn interface(snapshot: &InterfaceSnapshot, families: &mut Families) {
    let InterfaceSnapshot { interface, container, network, counters } = snapshot;
    let name = interface.name.as_str();
    let container = container.as_ref().map_or("", |container| &container.name);
    let network = network.as_deref().unwrap_or_default();
    families.info(Metric::InterfaceInfo, [name, interface.kind.name(), network, container]);
    interface_counters(name, counters, families);
}

fn interface_counters(name: &str, counters: &InterfaceCounters, families: &mut Families) {
    let receive = &counters.receive;
    families.add(Metric::InterfaceReceivePackets, [name], receive.tally.packets);
    families.add(Metric::InterfaceReceiveSegments, [name], receive.tally.segments);
    families.add(Metric::InterfaceReceiveBytes, [name], receive.link_bytes);
    families.add(Metric::InterfaceReceiveWireBytes, [name], receive.tally.bytes);
    let transmit = &counters.transmit;
    families.add(Metric::InterfaceTransmitPackets, [name], transmit.tally.packets);
    families.add(Metric::InterfaceTransmitSegments, [name], transmit.tally.segments);
    families.add(Metric::InterfaceTransmitBytes, [name], transmit.link_bytes);
    families.add(Metric::InterfaceTransmitWireBytes, [name], transmit.tally.bytes);
}

fn edge(edge: &Edge, traffic: &EdgeTraffic, families: &mut Families) {
    let protocol = edge.protocol.map_or_else(|| OTHERS.to_owned(), |protocol| protocol.to_string());
    let port = if edge.port == 0 { String::new() } else { edge.port.to_string() };
    // The folded edge is called `other` whatever stands in it; no protocol has that name, so no container can pose as it.
    let (client, server, port) = if edge.protocol.is_some() {
        (&*edge.client, &*edge.server, &*port)
    } else {
        (OTHERS, OTHERS, "")
    };

    for (direction, tally) in [("sent", traffic.sent), ("received", traffic.received)] {
        let labels = [client, server, &*protocol, port, direction];
        families.add(Metric::EdgeBytes, labels, tally.bytes);
        families.add(Metric::EdgePackets, labels, tally.segments);
    }
    let labels = [client, server, &*protocol, port];
    families.add(Metric::EdgeRetransmitted, labels, traffic.retransmitted);
    families.add(Metric::EdgeConnections, [client, server, &*protocol, port], traffic.connections);
}

fn flows(flows: &FlowTotals, families: &mut Families) {
    families.add(Metric::FlowsActive, [], flows.active);
    families.add(Metric::FlowsStarted, [], flows.started);
    for reason in EndReason::ALL {
        families.add(Metric::FlowsEnded, [reason.name()], 0);
    }
    for (reason, count) in &flows.ended {
        families.add(Metric::FlowsEnded, [reason.name()], *count);
    }
}

/// Every outcome has a series from the first scrape on, or `increase()` would miss its first packet.
fn ledger(snapshot: &Snapshot, families: &mut Families) {
    families.add(Metric::PacketsSeen, [], snapshot.seen.segments);
    families.add(Metric::BytesSeen, [], snapshot.seen.bytes);
    for outcome in Outcome::ALL {
        families.add(Metric::PacketOutcomes, [outcome.name()], 0);
        families.add(Metric::ByteOutcomes, [outcome.name()], 0);
    }
    let counted = std::iter::once(("counted", snapshot.flows.counted));
    let uncounted = snapshot.outcomes.iter().map(|(outcome, tally)| (outcome.name(), *tally));
    for (outcome, tally) in counted.chain(uncounted) {
        families.add(Metric::PacketOutcomes, [outcome], tally.segments);
        families.add(Metric::ByteOutcomes, [outcome], tally.bytes);
    }
}
