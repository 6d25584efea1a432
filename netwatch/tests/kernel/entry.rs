//! What a flow entry knows beside its counts.

use std::time::Duration;

use etherparse::{IpNumber, Ipv4Header, PacketBuilder};
use netwatch::{
    datapath::{Datapath, monotonic_now},
    model::{EntrySide, IcmpError, Observation, Protocol, Repairs, Tally},
};
use netwatch_common::{
    outcome::Outcome,
    parse::tcp_flags::{ACK, FIN, SYN},
};

use super::{
    A, B, MAC_A, MAC_B, outcome, read,
    support::programs::{EGRESS, INGRESS, options, run},
    with_datapath,
};

/// A TCP segment between the two, in the direction that `from_a` says.
fn segment(from_a: bool, sequence: u32, flags: u8, payload: usize) -> Vec<u8> {
    let (source, destination) = if from_a { (A, B) } else { (B, A) };
    let (from, to) = if from_a { (40_000, 80) } else { (80, 40_000) };
    let step = PacketBuilder::ethernet2(MAC_A, MAC_B)
        .ipv4(source, destination, if from_a { 64 } else { 63 })
        .tcp(from, to, sequence, 1000);
    let mut bytes = Vec::new();
    step.write(&mut bytes, &vec![0; payload]).unwrap();
    bytes[47] = flags;
    bytes
}

fn only(datapath: &mut Datapath) -> Observation {
    let all = read(datapath);
    let [one] = all[..] else { panic!("one flow, not {all:?}") };
    one
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_handshake_is_timed_at_each_of_its_steps() {
    with_datapath(options(), |datapath| {
        run(datapath, INGRESS, &segment(true, 100, SYN, 0), 1, None);
        run(datapath, EGRESS, &segment(false, 500, SYN | ACK, 0), 1, None);
        run(datapath, INGRESS, &segment(true, 101, ACK, 0), 1, None);
        run(datapath, INGRESS, &segment(true, 101, ACK, 10), 1, None);
        let one = only(datapath);
        let (syn, answer) = (one.ingress.first.unwrap(), one.egress.first.unwrap());
        let acknowledged = one.acknowledged.unwrap();
        assert!(syn < answer && answer < acknowledged, "{one:?}");
        assert!(acknowledged.since(syn) < Duration::from_secs(1));
        assert_eq!((one.ingress.opened_by, one.egress.opened_by), (SYN, SYN | ACK));
        assert_eq!(one.source_mac.unwrap().1, EntrySide::Ingress);
        assert_eq!(one.source_mac.unwrap().0.to_string(), "02:00:00:00:00:01");
        assert_eq!((one.ingress.traits.ttl_min, one.egress.traits.ttl_max), (64, 63));
    });
}

/// Also where the one before was long on the express way, which takes no packet of a connection that has ended.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_comes_long_after_the_end_is_another_connection() {
    with_datapath(options(), |datapath| {
        run(datapath, INGRESS, &segment(true, 100, SYN, 0), 1, None);
        run(datapath, EGRESS, &segment(false, 500, SYN | ACK, 0), 1, None);
        run(datapath, INGRESS, &segment(true, 101, ACK, 0), 3, None);
        run(datapath, EGRESS, &segment(false, 501, FIN | ACK, 0), 1, None);
        run(datapath, INGRESS, &segment(true, 101, ACK, 0), 1, None);
        let first = only(datapath);
        assert_eq!((first.fresh, first.ingress.new.packets), (true, 5));
        std::thread::sleep(Duration::from_millis(2_100));
        datapath.refresh_clock();
        run(datapath, INGRESS, &segment(true, 101, ACK, 0), 1, None);
        let second = only(datapath);
        assert!(second.fresh, "{second:?}");
        assert_eq!((second.ingress.new.packets, second.ingress.tcp_flags), (1, ACK));
    });
}

/// In the middle of a connection a packet's time is the recent one, which may lie before what another CPU has seen: a
/// connection whose first packets two CPUs shared would seem to have been opened by the one who answered.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_first_packet_of_each_direction_is_timed_exactly() {
    with_datapath(options(), |datapath| {
        datapath.refresh_clock();
        std::thread::sleep(Duration::from_millis(20));
        let before = monotonic_now();
        run(datapath, EGRESS, &segment(false, 500, FIN | ACK, 0), 1, None);
        datapath.refresh_clock();
        std::thread::sleep(Duration::from_millis(20));
        run(datapath, INGRESS, &segment(true, 100, ACK, 0), 1, None);
        let one = only(datapath);
        let (egress, ingress) = (one.egress.first.unwrap(), one.ingress.first.unwrap());
        assert!(before <= egress, "{one:?}");
        assert!(ingress.since(egress) >= Duration::from_millis(20), "{one:?}");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn segments_are_told_apart_by_their_sequence_numbers() {
    with_datapath(options(), |datapath| {
        let data = |sequence| segment(true, sequence, ACK, 100);
        // In order, across the end of the number space.
        for step in 0..10u32 {
            run(datapath, INGRESS, &data((u32::MAX - 250).wrapping_add(step * 100)), 1, None);
        }
        assert_eq!(only(datapath).ingress.repairs, Repairs::default());
        let next = (u32::MAX - 250).wrapping_add(1000);
        // Acknowledgments without data and keep-alives repeat a number on purpose.
        run(datapath, INGRESS, &segment(true, next, ACK, 0), 3, None);
        run(datapath, INGRESS, &segment(true, next.wrapping_sub(1), ACK, 1), 2, None);
        assert_eq!(only(datapath).ingress.repairs, Repairs::default());
        // The last one again, twice.
        run(datapath, INGRESS, &data(next.wrapping_sub(100)), 2, None);
        assert_eq!(only(datapath).ingress.repairs, Repairs { retransmitted: 2, out_of_order: 0 });
        // One is overtaken by the next, and sent again besides.
        run(datapath, INGRESS, &data(next.wrapping_add(100)), 1, None);
        run(datapath, INGRESS, &data(next), 2, None);
        assert_eq!(only(datapath).ingress.repairs, Repairs { retransmitted: 1, out_of_order: 1 });
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_syn_with_another_number_is_another_connection() {
    with_datapath(options(), |datapath| {
        run(datapath, INGRESS, &segment(true, 100, SYN, 0), 2, None);
        let again = only(datapath);
        assert_eq!((again.ingress.new.packets, again.ingress.repairs.retransmitted), (2, 1));
        run(datapath, INGRESS, &segment(true, 900_000, SYN, 0), 1, None);
        let other = only(datapath);
        assert_eq!((other.ingress.new.packets, other.fresh), (1, true));
        run(datapath, INGRESS, &segment(true, 900_001, FIN | ACK, 0), 1, None);
        assert!(!only(datapath).fresh);
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_window_of_zero_and_congestion_are_noted() {
    with_datapath(options(), |datapath| {
        let mut packet = segment(true, 1, ACK, 10);
        run(datapath, INGRESS, &packet, 1, None);
        assert!(!only(datapath).ingress.traits.zero_window);
        packet[48..50].fill(0);
        packet[15] = 0xb8 | 3;
        run(datapath, INGRESS, &packet, 1, None);
        let traits = only(datapath).ingress.traits;
        assert_eq!((traits.zero_window, traits.dscp, traits.ecn), (true, 46, 0b1001));
        assert_eq!(traits.largest, 64);
    });
}

fn echo(from_a: bool, sequence: u16) -> Vec<u8> {
    let (source, destination) = if from_a { (A, B) } else { (B, A) };
    let step = PacketBuilder::ethernet2(MAC_A, MAC_B).ipv4(source, destination, 64);
    let mut bytes = Vec::new();
    if from_a {
        step.icmpv4_echo_request(7, sequence).write(&mut bytes, &[0; 56]).unwrap();
    } else {
        step.icmpv4_echo_reply(7, sequence).write(&mut bytes, &[0; 56]).unwrap();
    }
    bytes
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_reply_to_the_last_echo_is_timed_once() {
    with_datapath(options(), |datapath| {
        for sequence in 0..3 {
            run(datapath, INGRESS, &echo(true, sequence), 1, None);
            run(datapath, EGRESS, &echo(false, sequence), 2, None);
        }
        run(datapath, EGRESS, &echo(false, 9), 1, None);
        let one = only(datapath);
        assert_eq!(one.echoes.timed, 3, "duplicates and strangers are not");
        assert!(one.echoes.total > Duration::ZERO && one.echoes.total < Duration::from_secs(1));
        run(datapath, INGRESS, &echo(true, 10), 1, None);
        assert_eq!(only(datapath).echoes.timed, 0, "each is handed out once");
    });
}

/// "Port unreachable" from B, about a datagram of A's.
pub(super) fn unreachable(quoted: &[u8]) -> Vec<u8> {
    let body = [&[3, 3, 0, 0, 0, 0, 0, 0], quoted].concat();
    let length = u16::try_from(body.len()).unwrap();
    let header = Ipv4Header::new(length, 64, IpNumber(1), B, A).unwrap();
    [&MAC_A[..], &MAC_B, &[8, 0], &header.to_bytes(), &body].concat()
}

fn udp(destination_port: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ethernet2(MAC_A, MAC_B)
        .ipv4(A, B, 64)
        .udp(5000, destination_port)
        .write(&mut bytes, payload)
        .unwrap();
    bytes
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_error_message_is_noted_in_the_flow_that_it_quotes() {
    with_datapath(options(), |datapath| {
        let datagram = udp(9, b"anybody there?");
        run(datapath, INGRESS, &datagram, 1, None);
        assert_eq!(only(datapath).error, None);
        run(datapath, EGRESS, &unreachable(&datagram[14..42]), 1, None);
        let all = read(datapath);
        let of = |protocol| all.iter().find(|one| one.protocol == protocol).unwrap();
        assert_eq!(of(Protocol::UDP).error, Some(IcmpError { kind: 3, code: 3 }));
        assert!(of(Protocol::UDP).egress.new.is_zero(), "it is no packet of that flow");
        assert_eq!(of(Protocol::ICMP).egress.new.packets, 1);
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn fragments_go_to_the_flow_of_the_first_one() {
    with_datapath(options(), |datapath| {
        let fragment = |place: u16, id: u8| {
            let mut bytes = udp(9, &[0; 64]);
            bytes[19] = id;
            bytes[20..22].copy_from_slice(&place.to_be_bytes());
            bytes
        };
        run(datapath, INGRESS, &fragment(8, 1), 1, None);
        assert!(read(datapath).is_empty(), "before the first one");
        assert_eq!(outcome(datapath, Outcome::LaterFragment).packets, 1);
        run(datapath, INGRESS, &fragment(0x2000, 1), 1, None);
        run(datapath, INGRESS, &fragment(8, 1), 2, None);
        let one = only(datapath);
        assert_eq!((one.local.port, one.remote.port), (5000, 9));
        assert_eq!(one.ingress.new, Tally { packets: 3, segments: 3, bytes: 3 * 106 });
        run(datapath, INGRESS, &fragment(8, 2), 1, None);
        assert_eq!(outcome(datapath, Outcome::LaterFragment).packets, 2, "of another packet");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_is_inside_a_tunnel_is_a_flow_beside_it() {
    with_datapath(options(), |datapath| {
        let inner = segment(true, 1, ACK, 10);
        let packet = udp(4789, &[&[8, 0, 0, 0, 0, 0, 1, 0], &inner[..]].concat());
        run(datapath, INGRESS, &packet, 2, None);
        let all = read(datapath);
        let of = |protocol| all.iter().find(|one| one.protocol == protocol).unwrap();
        assert!(of(Protocol::TCP).is_inner && !of(Protocol::UDP).is_inner);
        let counts = |one: &Observation| (one.ingress.new.packets, one.ingress.new.bytes);
        assert_eq!(counts(of(Protocol::TCP)), (2, 2 * inner.len() as u64));
        assert_eq!(counts(of(Protocol::UDP)), (2, 2 * packet.len() as u64));
    });
}
