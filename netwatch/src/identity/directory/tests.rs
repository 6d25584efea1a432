//! Each rule of the directory, told as a story. Times are in seconds.

use super::{testbed::*, *};
use crate::{
    identity::{EngineEvent, LinkEvent},
    model::{InterfaceKind, Protocol, PublishedPort, Socket},
};

#[test]
fn groups_and_broadcasts_come_first() {
    let directory = docker_host();
    for (address, name) in [
        ("224.0.0.1", Name::Multicast),
        ("ff02::1", Name::Multicast),
        ("255.255.255.255", Name::Broadcast),
        ("172.17.255.255", Name::Broadcast),
        ("192.0.2.255", Name::Broadcast),
    ] {
        assert_eq!(directory.name(ip(address), None), Lookup::Known(name), "{address}");
    }
}

#[test]
fn addresses_of_the_host_are_the_hosts() {
    let directory = docker_host();
    for address in ["172.17.0.1", "192.0.2.10", "127.0.0.1", "::1"] {
        assert_eq!(directory.name(ip(address), None), Lookup::Known(Name::Host), "{address}");
    }
    assert_eq!(directory.name(ip("198.51.100.7"), None), Lookup::Known(Name::External));
}

#[test]
fn the_veth_decides_not_the_address() {
    let mut directory = docker_host();
    start(&mut directory, 7, 0, container("web", 70, "172.17.0.2", 2), 1);
    start(&mut directory, 9, 1, container("cli", 90, "172.17.0.3", 3), 1);
    assert_eq!(label(&directory, "172.17.0.3", Some(7)), "web");
    assert_eq!(label(&directory, "172.17.0.3", None), "cli");
    assert_eq!(label(&directory, "10.9.9.9", Some(9)), "cli");
}

#[test]
fn a_forwarding_entry_joins_where_no_namespace_is_shown() {
    let mut directory = docker_host();
    directory.set_interface(Interface { peer_namespace: None, ..veth(7, 0) }, at(1));
    let early = Container { pid: None, ..container("web", 1, "172.17.0.2", 2) };
    directory.apply_engine(&EngineEvent::Container(early), at(1));
    assert!(directory.container_of_interface(7).is_none());
    directory.apply_link(&LinkEvent::Neighbour { port: 7, mac: mac(2), present: true }, at(1));
    directory.apply_link(&LinkEvent::Neighbour { port: 7, mac: mac(2), present: false }, at(2));
    assert_eq!(directory.container_of_interface(7).unwrap().name, "web");
    assert_eq!(label(&directory, "fe80::42:ff:fe00:2", None), "web");
}

#[test]
fn ethernet_addresses_that_are_no_containers_are_forgotten_and_bounded() {
    let mut directory = docker_host();
    start(&mut directory, 7, 0, container("web", 70, "172.17.0.2", 2), 1);
    start(&mut directory, 9, 1, container("cli", 90, "172.17.0.3", 3), 1);
    stop(&mut directory, 9, "cli", 1);
    for last in [2, 3, 4, 5] {
        directory.learn(7, mac(last), true);
    }
    directory.learn(8, mac(5), false);
    for last in [2, 3, 4] {
        directory.learn(7, mac(last), false);
    }
    let learned = |directory: &Directory| {
        let known = (0..=9).filter(|last| directory.ports.contains_key(&mac(*last)));
        known.collect::<Vec<u8>>()
    };
    assert_eq!(learned(&directory), [2, 3, 5], "containers', gone or not; and not at this port");
    let random = |number: usize| {
        let number = u32::try_from(number).unwrap().to_be_bytes();
        Mac([6, 0, number[0], number[1], number[2], number[3]])
    };
    directory.ports.remove(&mac(2));
    for number in 0..=MOST_LEARNED {
        directory.learn(7, random(number), true);
    }
    assert_eq!(directory.ports.len(), MOST_LEARNED);
    directory.learn(7, mac(2), true);
    directory.learn(7, mac(6), true);
    directory.learn(9, mac(5), true);
    assert_eq!(learned(&directory), [2, 3, 5], "a container's has its place always");
    assert_eq!(directory.ports[&mac(5)], 9, "and what is known may move");
    directory.apply_link(&LinkEvent::Forwarding(vec![(7, mac(6))]), at(2));
    assert_eq!((learned(&directory), directory.ports.len()), (vec![2, 3, 6], 3));
}

#[test]
fn what_the_engine_may_name_is_pending_with_a_fallback() {
    let mut directory = docker_host();
    directory.set_interface(veth(7, 0), at(1));
    let veth_name = Name::Interface("veth7".to_owned());
    assert_eq!(directory.name(ip("172.17.0.2"), Some(7)), Lookup::Pending(veth_name.clone()));
    assert_eq!(directory.name(ip("172.17.0.2"), None), Lookup::Pending(Name::External));
    directory.apply_engine(&EngineEvent::Down { reason: String::new() }, at(2));
    assert_eq!(directory.name(ip("172.17.0.2"), Some(7)), Lookup::Known(veth_name));
    assert_eq!(directory.name(ip("172.17.0.2"), None), Lookup::Known(Name::External));
}

#[test]
fn a_restart_with_a_new_address_keeps_the_name_of_the_old_one() {
    let mut directory = docker_host();
    start(&mut directory, 7, 0, container("web", 70, "172.17.0.2", 2), 1);
    stop(&mut directory, 7, "web", 2);
    start(&mut directory, 11, 0, container("web", 110, "172.17.0.5", 5), 3);
    assert_eq!(label(&directory, "172.17.0.5", Some(11)), "web");
    assert_eq!(label(&directory, "172.17.0.2", Some(7)), "web");
    assert_eq!(label(&directory, "172.17.0.2", None), "web");
}

#[test]
fn an_address_namespace_and_mac_reused_within_a_second_belong_to_the_next() {
    let mut directory = docker_host();
    start(&mut directory, 7, 0, container("web", 70, "172.17.0.2", 2), 1);
    directory.learn(7, mac(2), true);
    stop(&mut directory, 7, "web", 2);
    // The next one's veth, packets and MAC are there before the engine speaks.
    directory.set_interface(veth(9, 0), at(2));
    directory.learn(9, mac(2), true);
    assert!(directory.name(ip("172.17.0.2"), Some(9)).is_pending());
    start(&mut directory, 9, 0, container("cli", 90, "172.17.0.2", 2), 2);
    assert_eq!(label(&directory, "172.17.0.2", Some(9)), "cli");
    assert_eq!(label(&directory, "172.17.0.2", None), "cli");
    assert_eq!(label(&directory, "172.17.0.2", Some(7)), "web");
}

#[test]
fn a_peer_that_comes_home_before_its_veth_is_deleted_keeps_the_name() {
    let mut directory = docker_host();
    start(&mut directory, 7, 0, container("web", 70, "172.17.0.2", 2), 1);
    directory.set_interface(Interface { peer_namespace: None, ..veth(7, 0) }, at(2));
    assert_eq!(directory.container_of_interface(7).unwrap().name, "web");
    stop(&mut directory, 7, "web", 2);
    assert_eq!(directory.container_of_interface(7).unwrap().name, "web");
}

#[test]
fn a_process_is_asked_again_when_its_namespace_was_released() {
    let mut directory = docker_host();
    start(&mut directory, 7, 0, container("web", 70, "172.17.0.2", 2), 1);
    directory.remove_interface(7, at(2));
    directory.set_interface(veth(9, 4), at(3));
    assert!(directory.container_of_interface(9).is_none());
    directory.place(|pid| (pid == 70).then_some(4));
    assert_eq!(directory.container_of_interface(9).unwrap().name, "web");
}

#[test]
fn the_owner_of_a_shared_namespace_has_the_veth() {
    let mut directory = docker_host();
    let sidecar = Container {
        attachments: Vec::new(),
        shares_with: Some("web".to_owned()),
        ..container("sidecar", 71, "0.0.0.0", 0)
    };
    directory.apply_engine(&EngineEvent::Container(sidecar), at(1));
    start(&mut directory, 7, 0, container("web", 70, "172.17.0.2", 2), 1);
    directory.place(|_| Some(0));
    assert_eq!(directory.container_of_interface(7).unwrap().name, "web");
    directory.apply_engine(&EngineEvent::Gone { id: "id-of-web".to_owned() }, at(2));
    assert_eq!(directory.container_of_interface(7).unwrap().name, "sidecar");
}

#[test]
fn a_container_in_the_hosts_namespace_claims_nothing() {
    let mut directory = docker_host();
    let on_host = Container { host_network: true, ..container("exporter", 70, "172.17.0.9", 9) };
    directory.apply_engine(&EngineEvent::Container(on_host), at(1));
    directory.place(|_| unreachable!("the host's namespace is not asked for"));
    assert!(directory.container_of_address(ip("172.17.0.9")).is_none());
    assert_eq!(directory.containers().count(), 1);
}

/// As Podman 4.3 has it: its compatible API does not say which bridge it is.
#[test]
fn a_bridge_that_no_network_names_is_its_whose_gateway_it_has() {
    let mut directory = docker_host();
    let podman = Network {
        name: "podman".to_owned(),
        bridge: Some("br-0123456789ab".to_owned()),
        ..bridge_network()
    };
    let elsewhere = Network { gateways: vec![ip("10.89.0.1")], ..podman.clone() };
    directory.set_interface(veth(7, 0), at(1));
    directory.set_networks(vec![elsewhere.clone(), podman.clone()]);
    assert_eq!(directory.network_of_interface(7).as_deref(), Some("podman"));
    directory.set_networks(vec![podman, bridge_network()]);
    assert_eq!(
        directory.network_of_interface(7).as_deref(),
        Some("bridge"),
        "the name comes first"
    );
    directory.set_networks(vec![elsewhere]);
    assert_eq!(
        directory.network_of_interface(7).as_deref(),
        Some("bridge"),
        "the habit of its name"
    );
}

#[test]
fn what_has_gone_is_forgotten_after_a_minute() {
    let mut directory = docker_host();
    start(&mut directory, 7, 0, container("web", 70, "172.17.0.2", 2), 1);
    stop(&mut directory, 7, "web", 10);
    directory.expire(at(69));
    assert_eq!(label(&directory, "172.17.0.2", None), "web");
    assert_eq!(label(&directory, "172.17.0.2", Some(7)), "web");
    assert_eq!(directory.network_of_interface(7).as_deref(), Some("bridge"));
    directory.expire(at(70));
    assert!(directory.name(ip("172.17.0.2"), None).is_pending());
    assert!(directory.interface(7).is_none());
    assert!(directory.network_of_interface(7).is_none());
}

#[test]
fn without_an_engine_namespaces_give_names() {
    let mut directory = host();
    directory.apply_engine(&EngineEvent::Down { reason: String::new() }, at(0));
    directory.set_interface(link(3, InterfaceKind::Bridge, "shop"), at(1));
    directory.set_interface(Interface { master: Some(3), ..veth(7, 5) }, at(1));
    directory.apply_link(&LinkEvent::Namespaces(vec![(named("till"), 5)]), at(1));
    assert_eq!(label(&directory, "10.0.0.2", Some(7)), "till");
    assert_eq!(directory.network_of_interface(7).as_deref(), Some("shop"));
    assert_eq!(directory.network_of_interface(BRIDGE).as_deref(), Some("bridge"));
    assert!(directory.is_engine_bridge("br-799426d70aa2") && !directory.is_engine_bridge("shop"));
    directory.apply_link(&LinkEvent::Namespaces(Vec::new()), at(2));
    assert_eq!(directory.containers().count(), 0);
}

#[test]
fn the_engines_name_wins_over_a_namespaces() {
    let mut directory = docker_host();
    directory.set_named(&[(named("cni-1"), 0)], at(1));
    start(&mut directory, 7, 0, container("web", 70, "172.17.0.2", 2), 1);
    assert_eq!(directory.container_of_interface(7).unwrap().name, "web");
}

#[test]
fn full_lists_replace_what_was_there() {
    let mut directory = docker_host();
    start(&mut directory, 7, 0, container("web", 70, "172.17.0.2", 2), 1);
    directory
        .apply_engine(&EngineEvent::Containers(vec![container("cli", 90, "172.17.0.3", 3)]), at(2));
    assert_eq!(
        directory.containers().map(|container| container.name.as_str()).collect::<Vec<_>>(),
        ["cli"]
    );
    directory.apply_link(&LinkEvent::Snapshot(Vec::new()), at(3));
    assert_eq!(directory.interfaces().count(), 0);
    assert_eq!(label(&directory, "172.17.0.2", Some(7)), "web");
}

#[test]
fn a_rename_of_container_or_bridge_shows_at_once() {
    let mut directory = docker_host();
    start(&mut directory, 7, 0, container("web", 70, "172.17.0.2", 2), 1);
    let renamed = Container { name: "shop".to_owned(), ..container("web", 70, "172.17.0.2", 2) };
    directory.apply_engine(&EngineEvent::Container(renamed), at(2));
    assert_eq!(directory.container_of_interface(7).unwrap().name, "shop");
}

fn published(host: &str, port: u16, protocol: Protocol) -> PublishedPort {
    PublishedPort { host: host.parse().map(socket).unwrap(), port, protocol }
}

fn socket(address: std::net::SocketAddr) -> Socket {
    Socket { address: address.ip(), port: address.port() }
}

fn behind(directory: &Directory, host: &str, protocol: Protocol) -> Option<String> {
    let found = directory.behind(host.parse().map(socket).unwrap(), protocol)?;
    Some(format!("{}:{}", found.name, found.port))
}

#[test]
fn a_published_port_leads_to_its_container_while_that_lives() {
    let mut directory = docker_host();
    let web = |ports| Container { published: ports, ..container("web", 70, "172.17.0.2", 2) };
    let ports = vec![
        published("0.0.0.0:8080", 80, Protocol::TCP),
        published("192.0.2.10:8053", 53, Protocol::UDP),
    ];
    start(&mut directory, 7, 0, web(ports), 1);
    let web_80 = Some("web:80".to_owned());
    assert_eq!(behind(&directory, "172.17.0.1:8080", Protocol::TCP), web_80);
    assert_eq!(behind(&directory, "192.0.2.10:8080", Protocol::TCP), web_80);
    assert_eq!(behind(&directory, "192.0.2.10:8053", Protocol::UDP).as_deref(), Some("web:53"));
    for (host, protocol) in [
        ("172.17.0.1:8080", Protocol::UDP),
        ("172.17.0.1:8081", Protocol::TCP),
        ("172.17.0.1:80", Protocol::TCP),
        ("172.17.0.1:8053", Protocol::UDP),
        ("[::1]:8080", Protocol::TCP),
    ] {
        assert_eq!(behind(&directory, host, protocol), None, "{host}");
    }
    // Started again, with a port that the engine chose anew.
    let again = web(vec![published("0.0.0.0:32769", 80, Protocol::TCP)]);
    directory.apply_engine(&EngineEvent::Container(again), at(2));
    assert_eq!(behind(&directory, "172.17.0.1:8080", Protocol::TCP), None);
    assert_eq!(behind(&directory, "172.17.0.1:32769", Protocol::TCP), web_80);
    // Without the engine nobody says that it is so still.
    let mut cut_off = directory;
    cut_off.apply_engine(&EngineEvent::Down { reason: String::new() }, at(3));
    assert_eq!(behind(&cut_off, "172.17.0.1:32769", Protocol::TCP), None);
    let up =
        EngineEvent::Up { version: String::new(), api: String::new(), endpoint: String::new() };
    cut_off.apply_engine(&up, at(3));
    assert_eq!(behind(&cut_off, "172.17.0.1:32769", Protocol::TCP), None, "not listed yet");
    let again = web(vec![published("0.0.0.0:32769", 80, Protocol::TCP)]);
    cut_off.apply_engine(&EngineEvent::Containers(vec![again]), at(3));
    assert_eq!(behind(&cut_off, "172.17.0.1:32769", Protocol::TCP), web_80);
    stop(&mut cut_off, 7, "web", 4);
    assert_eq!(behind(&cut_off, "172.17.0.1:32769", Protocol::TCP), None);
}

#[test]
fn two_claims_to_one_published_port_are_no_answer() {
    let mut directory = docker_host();
    for (index, name, host) in [(7, "old", "0.0.0.0:8080"), (9, "new", "192.0.2.10:8080")] {
        let container = Container {
            published: vec![published(host, 80, Protocol::TCP)],
            ..container(name, i32::try_from(index).unwrap(), "172.17.0.2", 2)
        };
        start(&mut directory, index, i32::try_from(index).unwrap(), container, 1);
    }
    assert_eq!(behind(&directory, "192.0.2.10:8080", Protocol::TCP), None);
    assert_eq!(behind(&directory, "172.17.0.1:8080", Protocol::TCP).as_deref(), Some("old:80"));
}

#[test]
fn a_veth_that_has_left_its_bridge_keeps_the_network() {
    let mut directory = docker_host();
    start(&mut directory, 7, 0, container("web", 70, "172.17.0.2", 2), 1);
    assert_eq!(directory.network_of_interface(7).as_deref(), Some("bridge"));
    let leaving = Interface { master: None, peer_namespace: None, ..veth(7, 0) };
    directory.set_interface(leaving.clone(), at(2));
    assert_eq!(directory.network_of_interface(7).as_deref(), Some("bridge"));
    directory.set_interface(leaving.clone(), at(2));
    directory.remove_interface(7, at(3));
    assert_eq!(directory.network_of_interface(7).as_deref(), Some("bridge"));
    directory.set_interface(leaving, at(4));
    assert_eq!(directory.network_of_interface(7), None, "another one by the same number");
}

#[test]
fn an_owner_knows_who_shares_its_namespace_as_long_as_they_do() {
    let mut directory = docker_host();
    start(&mut directory, 7, 0, container("web", 70, "172.17.0.2", 2), 1);
    let sidecar = |name: &str| Container {
        attachments: Vec::new(),
        shares_with: Some("web".to_owned()),
        ..container(name, 71, "0.0.0.0", 0)
    };
    let shared_by =
        |directory: &Directory| directory.container_of_interface(7).unwrap().shared_by.join(" ");
    assert_eq!(shared_by(&directory), "");
    for name in ["proxy", "logger"] {
        directory.apply_engine(&EngineEvent::Container(sidecar(name)), at(2));
    }
    assert_eq!(shared_by(&directory), "logger proxy");
    // What the engine says of the owner afterwards knows nothing of them.
    directory.apply_engine(&EngineEvent::Container(container("web", 70, "172.17.0.9", 2)), at(3));
    assert_eq!(shared_by(&directory), "logger proxy");
    directory.apply_engine(&EngineEvent::Gone { id: "id-of-logger".to_owned() }, at(4));
    assert_eq!(shared_by(&directory), "proxy");
}

#[test]
fn one_that_dies_before_its_process_is_known_keeps_its_veth() {
    let mut directory = docker_host();
    directory.set_interface(veth(7, 0), at(1));
    // By the network's answer: with addresses and without a process.
    let early = Container { pid: None, ..container("web", 1, "172.17.0.2", 2) };
    directory.apply_engine(&EngineEvent::Container(early), at(1));
    directory.learn(7, mac(2), true);
    directory.apply_engine(&EngineEvent::Gone { id: "id-of-web".to_owned() }, at(1));
    assert_eq!(label(&directory, "172.17.0.2", Some(7)), "web");
    // The next one with the same addresses is no reason to think otherwise.
    let next = Container { pid: None, ..container("cli", 1, "172.17.0.2", 2) };
    directory.apply_engine(&EngineEvent::Container(next), at(1));
    directory.set_interface(veth(7, 0), at(1));
    assert_eq!(label(&directory, "172.17.0.2", Some(7)), "web");
    directory.apply_link(&LinkEvent::Gone { index: 7, name: String::new() }, at(2));
    assert_eq!(label(&directory, "172.17.0.2", Some(7)), "web");
}
