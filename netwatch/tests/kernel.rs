//! The kernel programs, run by the kernel (`BPF_PROG_TEST_RUN`) on packets that an independent library made.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

#[path = "kernel/dns.rs"]
mod dns;
#[path = "kernel/entry.rs"]
mod entry;
#[path = "kernel/express.rs"]
mod express;
#[path = "kernel/filter.rs"]
mod filter;
#[path = "kernel/sample.rs"]
mod sample;

use std::net::IpAddr;

use etherparse::PacketBuilder;
use netwatch::{
    datapath::{AttachMode, Datapath, Options},
    model::{InterfaceKind, Observation, Protocol, Tally},
};
use netwatch_common::{outcome::Outcome, parse::tcp_flags};
use support::{
    cpu,
    netns::in_new_namespace,
    programs::{EGRESS, Gso, INGRESS, LO, options, run, run_at},
};

const MAC_A: [u8; 6] = [2, 0, 0, 0, 0, 1];
const MAC_B: [u8; 6] = [2, 0, 0, 0, 0, 2];
const A: [u8; 4] = [172, 17, 0, 2];
const B: [u8; 4] = [172, 17, 0, 3];

/// Loads the programs, attached to the loopback device of a new namespace.
fn with_datapath(options: Options, body: impl FnOnce(&mut Datapath) + Send + 'static) {
    in_new_namespace(move || {
        // On another CPU a flow has another entry.
        cpu::stay_on_one();
        let mut datapath = Datapath::load(&options).expect("loads");
        datapath.attach(LO, "lo", InterfaceKind::Veth).expect("attaches");
        body(&mut datapath);
        assert_ledger(&mut datapath);
    });
}

fn observations(datapath: &mut Datapath) -> Vec<Observation> {
    let mut all = Vec::new();
    datapath.read_flows(|observation| all.push(observation));
    all
}

fn outcome(datapath: &Datapath, outcome: Outcome) -> Tally {
    datapath.outcomes()[outcome as usize].1
}

thread_local! {
    static COUNTED: std::cell::Cell<Tally> = const { std::cell::Cell::new(Tally::ZERO) };
}

/// Reads the flows and adds them up for the ledger.
fn read(datapath: &mut Datapath) -> Vec<Observation> {
    let all = observations(datapath);
    // What is inside a tunnel has been counted with the tunnel.
    let counted = all.iter().filter(|one| !one.is_inner);
    let new = counted.fold(Tally::ZERO, |sum, one| sum + one.ingress.new + one.egress.new);
    COUNTED.set(COUNTED.get() + new);
    all
}

/// seen = counted in a flow + each outcome, in packets, segments and bytes.
fn assert_ledger(datapath: &mut Datapath) {
    read(datapath);
    let outcomes = datapath.outcomes().iter().fold(Tally::ZERO, |sum, (_, tally)| sum + *tally);
    assert_eq!(datapath.seen(), COUNTED.get() + outcomes);
}

fn tcp(source_port: u16, destination_port: u16, payload: usize) -> Vec<u8> {
    let step = PacketBuilder::ethernet2(MAC_A, MAC_B)
        .ipv4(A, B, 64)
        .tcp(source_port, destination_port, 1, 1000)
        .syn();
    let mut bytes = Vec::new();
    step.write(&mut bytes, &vec![0; payload]).unwrap();
    bytes
}

fn tcp_reply(source_port: u16, destination_port: u16) -> Vec<u8> {
    let step = PacketBuilder::ethernet2(MAC_B, MAC_A)
        .ipv4(B, A, 64)
        .tcp(source_port, destination_port, 1, 1000)
        .syn()
        .ack(2);
    let mut bytes = Vec::new();
    step.write(&mut bytes, &[]).unwrap();
    bytes
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn both_directions_share_an_entry() {
    with_datapath(options(), |datapath| {
        run(datapath, INGRESS, &tcp(40_000, 80, 100), 3, None);
        run(datapath, EGRESS, &tcp_reply(80, 40_000), 2, None);
        let all = read(datapath);
        let [one] = &all[..] else { panic!("one flow, not {all:?}") };
        assert_eq!((one.ifindex, one.protocol, one.fresh), (LO, Protocol::TCP, true));
        assert_eq!((one.local.address, one.local.port), (IpAddr::from(A), 40_000));
        assert_eq!((one.remote.address, one.remote.port), (IpAddr::from(B), 80));
        assert_eq!(one.ingress.new, Tally { packets: 3, segments: 3, bytes: 3 * 154 });
        assert_eq!(one.egress.new, Tally { packets: 2, segments: 2, bytes: 2 * 54 });
        assert_eq!(one.ingress.tcp_flags, tcp_flags::SYN);
        assert_eq!(one.egress.tcp_flags, tcp_flags::SYN | tcp_flags::ACK);
        assert!(one.ingress.first < one.egress.first, "exact times for a handshake");
        let counters = datapath.counters(LO).unwrap();
        assert_eq!((counters.receive.tally.packets, counters.receive.link_bytes), (3, 3 * 154));
        assert_eq!((counters.transmit.tally.packets, counters.transmit.link_bytes), (2, 2 * 54));
        assert!(read(datapath).is_empty(), "each packet is handed out once");
        run(datapath, INGRESS, &tcp(40_000, 80, 100), 1, None);
        let again = read(datapath);
        assert_eq!((again[0].ingress.new.packets, again[0].fresh), (1, false));
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_gso_packet_counts_as_what_it_is_on_the_wire() {
    with_datapath(options(), |datapath| {
        // 3 segments of 1,000 bytes in one skb: the 54 bytes of headers are on the wire three times.
        let packet = tcp(40_000, 80, 3000);
        run(datapath, INGRESS, &packet, 1, Some(Gso { segs: 3, size: 1000 }));
        let wire = Tally { packets: 1, segments: 3, bytes: 3 * 1054 };
        assert_eq!(read(datapath)[0].ingress.new, wire);
        let counters = datapath.counters(LO).unwrap().receive;
        assert_eq!(
            (counters.tally, counters.link_bytes),
            (wire, 3054),
            "ip -s link counts the skb"
        );
        // Without gso_segs (SKB_GSO_DODGY) they follow from the size.
        run(datapath, INGRESS, &packet, 1, Some(Gso { segs: 0, size: 1500 }));
        assert_eq!(
            read(datapath)[0].ingress.new,
            Tally { packets: 1, segments: 2, bytes: 3054 + 54 }
        );
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_is_in_no_flow_has_an_outcome() {
    with_datapath(options(), |datapath| {
        // Of no hardware, for no protocol.
        let mut arp = vec![0; 60];
        arp[12..14].copy_from_slice(&[8, 6]);
        run(datapath, EGRESS, &arp, 5, None);
        let mut fragment = tcp(1, 2, 100);
        fragment[21] = 7;
        run(datapath, INGRESS, &fragment, 2, None);
        run(datapath, INGRESS, &tcp(1, 2, 0)[..40], 1, None);
        assert!(read(datapath).is_empty());
        assert_eq!(outcome(datapath, Outcome::Arp), Tally { packets: 5, segments: 5, bytes: 300 });
        assert_eq!(outcome(datapath, Outcome::LaterFragment).packets, 2);
        assert_eq!(
            outcome(datapath, Outcome::Truncated),
            Tally { packets: 1, segments: 1, bytes: 40 }
        );
        assert_eq!(
            datapath.counters(LO).unwrap().transmit.tally.packets,
            5,
            "but they are counted at the interface"
        );
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_interface_without_a_slot_is_an_outcome() {
    with_datapath(options(), |datapath| {
        assert_eq!(datapath.detach(LO).unwrap().receive.tally, Tally::ZERO);
        run(datapath, INGRESS, &tcp(1, 2, 0), 4, None);
        assert_eq!(outcome(datapath, Outcome::UnknownInterface).packets, 4);
        assert_eq!(datapath.counters(LO), None);
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn no_packet_is_lost_when_flows_have_to_give_way() {
    // One entry per CPU, and far more flows than that.
    with_datapath(Options { flow_entries: 1, ..options() }, |datapath| {
        for round in 0..3 {
            for port in 1000..1500 {
                run(datapath, INGRESS, &tcp(port, 80, 0), 1 + u32::from(port % 3), None);
            }
            let packets: u64 = read(datapath).iter().map(|one| one.ingress.new.packets).sum();
            assert_eq!(
                packets,
                (1000..1500u64).map(|port| 1 + port % 3).sum::<u64>(),
                "round {round}"
            );
        }
        assert!(datapath.status().evictions >= 3 * 490);
        assert_eq!(outcome(datapath, Outcome::FlowTableFull), Tally::ZERO);
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_full_ring_is_counted_to_the_packet() {
    with_datapath(Options { flow_entries: 1, ..options() }, |datapath| {
        // Nobody reads: the ring has room for 2 MiB / 208 bytes = 10,082 flows.
        for port in 0..30_000 {
            run(datapath, INGRESS, &tcp(port, 80, 0), 1, None);
        }
        let full = outcome(datapath, Outcome::FlowTableFull).packets;
        assert!((19_900..19_920).contains(&full), "{full}");
        let packets: u64 = read(datapath).iter().map(|one| one.ingress.new.packets).sum();
        assert_eq!(packets + full, 30_000);
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_new_connection_on_old_ports_is_another_one() {
    with_datapath(options(), |datapath| {
        let with_flags = |flags: u8| {
            let mut packet = tcp(40_000, 80, 0);
            packet[47] = flags;
            packet
        };
        run(datapath, INGRESS, &with_flags(tcp_flags::SYN), 1, None);
        run(datapath, INGRESS, &with_flags(tcp_flags::FIN | tcp_flags::ACK), 1, None);
        run(datapath, INGRESS, &with_flags(tcp_flags::ACK), 1, None);
        run(datapath, INGRESS, &with_flags(tcp_flags::SYN), 1, None);
        let all = read(datapath);
        let counts: Vec<_> = all.iter().map(|one| (one.ingress.new.packets, one.fresh)).collect();
        assert_eq!(counts, [(3, true), (1, true)]);
        assert_eq!(all[1].ingress.tcp_flags, tcp_flags::SYN, "the new one has flags of its own");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn clsact_attaches_and_leaves_nothing_behind() {
    with_datapath(Options { attach_mode: AttachMode::Clsact, ..options() }, |datapath| {
        let qdiscs = || {
            String::from_utf8(
                std::process::Command::new("tc").args(["qdisc"]).output().unwrap().stdout,
            )
        };
        assert!(qdiscs().unwrap().contains("clsact"));
        datapath.detach(LO);
        assert!(!qdiscs().unwrap().contains("clsact"));
        datapath.attach(LO, "lo", InterfaceKind::Veth).unwrap();
        // What a killed agent leaves behind is found by name.
        assert!(datapath.remove_leftovers("lo", LO));
        assert!(!qdiscs().unwrap().contains("clsact"));
        assert!(!datapath.remove_leftovers("lo", LO));
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_object_with_messages_loads_too() {
    with_datapath(Options { messages: true, ..options() }, |datapath| {
        run(datapath, INGRESS, &tcp(1, 2, 0), 1, None);
        assert_eq!(read(datapath).len(), 1);
    });
}
