//! The express way gives the answer that the long one gives: the same packets by both, and everything compared.

use std::sync::mpsc;

use etherparse::PacketBuilder;
use fastrand::Rng;
use netwatch::{
    datapath::{Datapath, Options},
    model::{EntrySide, Exclusion, InterfaceCounters, Observation, SideReading},
};
use netwatch_common::parse::tcp_flags::{ACK, FIN, PSH, RST, SYN};

use super::{
    A, B, LO, MAC_A, MAC_B, read,
    support::programs::{EGRESS, INGRESS, options, run},
    with_datapath,
};

const PACKETS: usize = 4_000;
const FLOWS: u16 = 6;

/// A packet of few flows: mostly what connections send, sometimes anything.
fn packet(rng: &mut Rng) -> (&'static str, Vec<u8>) {
    let from_a = rng.bool();
    let is_v4 = rng.bool();
    let is_tcp = rng.u8(..3) != 0;
    let port = 40_000 + rng.u16(..FLOWS);
    // Some ports are looked at twice: a tunnel's, and that of names.
    let server = if rng.u8(..8) == 0 { *rng.choice(&[53, 4789]).unwrap() } else { 80 };
    let (from, to) = if from_a { (port, server) } else { (server, port) };
    let ttl = if rng.u8(..20) == 0 { rng.u8(1..) } else { 64 };
    let step = PacketBuilder::ethernet2(MAC_A, MAC_B);
    let (source, destination) = if from_a { (A, B) } else { (B, A) };
    let v6 = |[.., last]: [u8; 4]| [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    let step = if is_v4 {
        step.ipv4(source, destination, ttl)
    } else {
        step.ipv6(v6(source), v6(destination), ttl)
    };
    let payload = vec![0; if rng.bool() { 0 } else { rng.usize(1..1_400) }];
    let mut bytes = Vec::new();
    if is_tcp {
        // In a window so narrow that segments are often the next one, one again, or one too early.
        let sequence = 1_000 + 100 * rng.u32(..40);
        let window = if rng.u8(..50) == 0 { 0 } else { 1_000 };
        step.tcp(from, to, sequence, window).write(&mut bytes, &payload).unwrap();
        let flags = [ACK, ACK, ACK, ACK, PSH | ACK, PSH | ACK, SYN, SYN | ACK, FIN | ACK, RST];
        let transport = if is_v4 { 34 } else { 54 };
        // What ends or begins is rare, or nothing would last.
        let flag = if rng.u8(..12) == 0 { *rng.choice(&flags).unwrap() } else { ACK };
        bytes[transport + 13] = flag;
        if rng.u8(..40) == 0 {
            // Options that are not there, or fewer words than a header has.
            bytes[transport + 12] = rng.u8(..) & 0xf0;
        }
    } else {
        step.udp(from, to).write(&mut bytes, &payload).unwrap();
    }
    if rng.u8(..20) == 0 {
        bytes[15] = rng.u8(..);
    }
    if is_v4 && rng.u8(..40) == 0 {
        // Fragments, and lengths that do not fit.
        bytes[16 + 4 * rng.usize(..2) + rng.usize(..2)] = rng.u8(..);
    }
    if rng.u8(..40) == 0 {
        // Padding.
        bytes.resize(bytes.len() + 7, 0);
    }
    (if from_a { INGRESS } else { EGRESS }, bytes)
}

/// All that is known of an entry but times.
fn facts(one: &Observation) -> String {
    let side = |side: &SideReading| {
        let SideReading { new, tcp_flags, opened_by, repairs, traits, .. } = side;
        format!("{new:?} {tcp_flags} {opened_by} {repairs:?} {traits:?} {}", side.first.is_some())
    };
    let Observation { local, remote, protocol, .. } = one;
    let opened = one.source_mac.map(|(_, at)| at == EntrySide::Ingress);
    format!(
        "{local:?} {remote:?} {protocol:?} {} | {} | {} {opened:?}",
        side(&one.ingress),
        side(&one.egress),
        one.acknowledged.is_some(),
    )
}

#[derive(Debug, PartialEq)]
struct Result {
    flows: Vec<String>,
    counters: InterfaceCounters,
    outcomes: String,
}

/// Runs the packets, and reads the table now and then.
fn result(options: Options, seed: u64) -> Result {
    let (sender, receiver) = mpsc::channel();
    with_datapath(options, move |datapath: &mut Datapath| {
        let mut rng = Rng::with_seed(seed);
        let mut flows = Vec::new();
        for number in 0..PACKETS {
            let (hook, bytes) = packet(&mut rng);
            run(datapath, hook, &bytes, 1, None);
            if number % 500 == 499 {
                let mut told: Vec<String> = read(datapath).iter().map(facts).collect();
                told.sort_unstable();
                flows.extend(told);
            }
        }
        let counters = datapath.counters(LO).unwrap();
        let outcomes = format!("{:?}", datapath.outcomes());
        sender.send(Result { flows, counters, outcomes }).unwrap();
    });
    receiver.recv().unwrap()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_express_way_answers_as_the_long_one() {
    // A network that nobody is in takes the express way away (netwatch-ebpf/src/express.rs).
    let networks = vec!["192.0.2.0/24".parse().unwrap()];
    for seed in 0..4 {
        let long = Options {
            exclusion: Exclusion { networks: networks.clone(), ..Exclusion::default() },
            ..options()
        };
        let (express, long) = (result(options(), seed), result(long, seed));
        assert!(express.flows.len() > 50, "{} flows", express.flows.len());
        for (one, other) in express.flows.iter().zip(&long.flows) {
            assert_eq!(one, other, "seed {seed}");
        }
        assert_eq!(express, long, "seed {seed}");
    }
}
