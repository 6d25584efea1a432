//! What is excluded is counted at its interface and nowhere else.

use etherparse::PacketBuilder;
use netwatch::{
    datapath::{Datapath, Options},
    model::{Exclusion, Protocol, Tally},
};
use netwatch_common::outcome::Outcome;

use super::{
    A, B, EGRESS, Gso, INGRESS, LO, MAC_A, MAC_B, entry::unreachable, options, outcome, read, run,
    tcp, tcp_reply, with_datapath,
};

fn excluding(exclusion: Exclusion) -> Options {
    Options { exclusion, sample_rate: 1, ..options() }
}

fn networks(texts: &[&str]) -> Options {
    let networks = texts.iter().map(|text| text.parse().expect("a network")).collect();
    excluding(Exclusion { networks, ..Exclusion::default() })
}

fn ports(ports: &[(Option<Protocol>, u16)]) -> Options {
    excluding(Exclusion { ports: ports.to_vec(), ..Exclusion::default() })
}

fn v4(source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let step = PacketBuilder::ethernet2(MAC_A, MAC_B).ipv4(source, destination, 64).udp(1, 2);
    step.write(&mut bytes, &[]).unwrap();
    bytes
}

fn v6(source: &str, destination: &str) -> Vec<u8> {
    let octets = |text: &str| text.parse::<std::net::Ipv6Addr>().expect("an address").octets();
    let mut bytes = Vec::new();
    let step = PacketBuilder::ethernet2(MAC_A, MAC_B)
        .ipv6(octets(source), octets(destination), 64)
        .udp(1, 2);
    step.write(&mut bytes, &[]).unwrap();
    bytes
}

fn udp_lite(source_port: u16) -> Vec<u8> {
    let mut bytes = v4([10, 0, 0, 1], [10, 0, 0, 2]);
    bytes[23] = 136;
    bytes[34..36].copy_from_slice(&source_port.to_be_bytes());
    bytes
}

/// Whether a packet is in no flow because it was excluded.
fn is_filtered(datapath: &mut Datapath, packet: &[u8]) -> bool {
    let before = outcome(datapath, Outcome::Filtered).packets;
    run(datapath, INGRESS, packet, 1, None);
    let after = outcome(datapath, Outcome::Filtered).packets;
    let flows = read(datapath);
    assert_eq!(flows.len() as u64 + after - before, 1, "in a flow or filtered, and not both");
    after > before
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_excluded_port_is_excluded_at_either_end() {
    with_datapath(ports(&[(None, 80)]), |datapath| {
        assert!(is_filtered(datapath, &tcp(40_000, 80, 10)));
        assert!(is_filtered(datapath, &tcp(80, 40_000, 10)));
        assert!(!is_filtered(datapath, &tcp(40_000, 81, 10)));
        run(datapath, EGRESS, &tcp_reply(80, 40_000), 3, None);
        assert_eq!(outcome(datapath, Outcome::Filtered).packets, 5);
        assert_eq!(
            datapath.counters(LO).unwrap().transmit.tally.packets,
            3,
            "its interface counts it"
        );
        let mut samples = 0;
        datapath.read_samples(|_| samples += 1);
        assert_eq!(samples, 1, "what is excluded is not sampled");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_port_may_be_of_one_protocol() {
    with_datapath(ports(&[(Some(Protocol::UDP), 53), (Some(Protocol::TCP), 65_535)]), |datapath| {
        let mut udp = v4([10, 0, 0, 1], [10, 0, 0, 2]);
        udp[36..38].copy_from_slice(&53_u16.to_be_bytes());
        assert!(is_filtered(datapath, &udp));
        assert!(!is_filtered(datapath, &tcp(40_000, 53, 0)));
        assert!(is_filtered(datapath, &tcp(40_000, 65_535, 0)));
        let mut messages = 0;
        datapath.read_messages(|_| messages += 1);
        assert_eq!(
            messages, 0,
            "a DNS message that is excluded is not read, and the other is none"
        );
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn protocols_are_excluded_by_number() {
    let protocols = vec![Protocol::TCP, Protocol(136)];
    with_datapath(excluding(Exclusion { protocols, ..Exclusion::default() }), |datapath| {
        assert!(is_filtered(datapath, &tcp(40_000, 80, 0)));
        assert!(is_filtered(datapath, &udp_lite(7)));
        assert!(!is_filtered(datapath, &v4([10, 0, 0, 1], [10, 0, 0, 2])));
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn networks_are_excluded_at_either_end() {
    with_datapath(networks(&["10.1.0.0/16", "192.0.2.7/32", "2001:db8::/33"]), |datapath| {
        for (source, destination, expected) in [
            ([10, 1, 0, 0], [172, 17, 0, 2], true),
            ([172, 17, 0, 2], [10, 1, 255, 255], true),
            ([10, 0, 255, 255], [10, 2, 0, 0], false),
            ([192, 0, 2, 7], [172, 17, 0, 2], true),
            ([192, 0, 2, 6], [192, 0, 2, 8], false),
        ] {
            assert_eq!(
                is_filtered(datapath, &v4(source, destination)),
                expected,
                "{source:?} {destination:?}"
            );
        }
        assert!(is_filtered(datapath, &v6("2001:db8:7fff::1", "fd00::1")));
        assert!(!is_filtered(datapath, &v6("2001:db8:8000::1", "fd00::1")));
    });
}

/// A flow that is known is not asked for again: one that is excluded must not become known.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_error_about_an_excluded_packet_makes_no_flow_of_it() {
    with_datapath(networks(&["10.9.0.0/16"]), |datapath| {
        let datagram = v4(A, [10, 9, 0, 1]);
        assert!(is_filtered(datapath, &datagram));
        run(datapath, EGRESS, &unreachable(&datagram[14..42]), 1, None);
        let flows = read(datapath);
        assert_eq!(flows.len(), 1, "the message's own");
        assert_eq!(flows[0].protocol, Protocol::ICMP);
        assert!(is_filtered(datapath, &datagram));
        let known = v4(A, B);
        (0..3).for_each(|_| assert!(!is_filtered(datapath, &known)));
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn all_of_one_family_is_nothing_of_the_other() {
    with_datapath(networks(&["::/0"]), |datapath| {
        assert!(is_filtered(datapath, &v6("2001:db8::1", "fd00::1")));
        assert!(!is_filtered(datapath, &v4([10, 0, 0, 1], [0, 0, 0, 0])));
    });
    with_datapath(networks(&["0.0.0.0/0"]), |datapath| {
        assert!(!is_filtered(datapath, &v6("2001:db8::1", "::ffff:10.0.0.1")));
        assert!(is_filtered(datapath, &v4([10, 0, 0, 1], [10, 0, 0, 2])));
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn excluded_segments_count_as_on_the_wire() {
    with_datapath(ports(&[(None, 80)]), |datapath| {
        run(datapath, INGRESS, &tcp(40_000, 80, 3000), 1, Some(Gso { segs: 3, size: 1000 }));
        assert_eq!(
            outcome(datapath, Outcome::Filtered),
            Tally { packets: 1, segments: 3, bytes: 3 * 1054 }
        );
    });
}

/// The verifier has to find its way through everything at once.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_object_with_messages_filters_too() {
    let protocols = vec![Protocol::ICMP];
    let ports = vec![(None, 80)];
    let networks = vec!["2001:db8::/32".parse().unwrap()];
    let options = excluding(Exclusion { networks, ports, protocols });
    with_datapath(Options { messages: true, ..options }, |datapath| {
        assert!(is_filtered(datapath, &tcp(40_000, 80, 0)));
        assert!(!is_filtered(datapath, &tcp(40_000, 81, 0)));
    });
}

/// Unused filters are no code at all once the verifier is done; each of them is code of its own.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn unused_filters_cost_nothing() {
    fn size(options: Options) -> u32 {
        let (sender, receiver) = std::sync::mpsc::channel();
        with_datapath(options, move |datapath| {
            let program = datapath.ebpf_mut().program_mut(INGRESS).unwrap();
            sender.send(program.info().unwrap().size_translated().unwrap()).unwrap();
        });
        receiver.recv().unwrap()
    }
    let protocols = vec![Protocol::TCP];
    let none = size(options());
    let by_protocol =
        size(excluding(Exclusion { protocols: protocols.clone(), ..Exclusion::default() }));
    let by_port = size(ports(&[(None, 80)]));
    let ports_too = Exclusion { protocols, ports: vec![(None, 80)], ..Exclusion::default() };
    let both = size(excluding(ports_too.clone()));
    let by_network = size(networks(&["10.0.0.0/8"]));
    let all =
        size(excluding(Exclusion { networks: vec!["10.0.0.0/8".parse().unwrap()], ..ports_too }));
    println!(
        "bytes: {none} without, {by_protocol} protocols, {by_port} ports, {both} both, {by_network} networks, {all} all"
    );
    for one in [by_protocol, by_port] {
        assert!(none < one && one < both, "{none} < {one} < {both}");
    }
    assert!(none < by_network && by_network < all, "{none} < {by_network} < {all}");
}
