//! Packets made by an independent library, whole and cut off at every byte.

extern crate std;

use std::vec::Vec;

use etherparse::{IpNumber, Ipv4Header, Ipv4Options, PacketBuilder};
use proptest::prelude::*;

use super::*;

const MAC_A: [u8; 6] = [2, 0, 0, 0, 0, 1];
const MAC_B: [u8; 6] = [2, 0, 0, 0, 0, 2];
const A4: [u8; 4] = [172, 17, 0, 2];
const B4: [u8; 4] = [172, 17, 0, 3];
const A6: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
const B6: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3];
const PAYLOAD: &[u8] = b"payload";

fn v4(octets: [u8; 4]) -> Address {
    Address::from_v4_word(u32::from_ne_bytes(octets))
}

/// Writes a packet with etherparse.
macro_rules! packet {
    ($step:expr) => {{
        let step = $step;
        let mut bytes = Vec::with_capacity(step.size(PAYLOAD.len()));
        step.write(&mut bytes, PAYLOAD).unwrap();
        bytes
    }};
}

fn tcp4() -> Vec<u8> {
    packet!(PacketBuilder::ethernet2(MAC_A, MAC_B).ipv4(A4, B4, 64).tcp(40_000, 80, 1, 1000).syn())
}

fn udp6() -> Vec<u8> {
    packet!(PacketBuilder::ethernet2(MAC_A, MAC_B).ipv6(A6, B6, 64).udp(5000, 53))
}

/// The packet parses to the end of its headers, and is truncated at every byte before.
fn assert_cut_anywhere(bytes: &[u8], whole: Packet) {
    for len in 0..bytes.len() {
        let expected =
            if len < whole.header_len as usize { Err(Outcome::Truncated) } else { Ok(whole) };
        assert_eq!(parse(&bytes[..len]), expected, "cut after {len} bytes");
    }
}

#[test]
fn tcp_over_ipv4() {
    let bytes = tcp4();
    let packet = parse(&bytes[..]).unwrap();
    let expected = Packet {
        source: v4(A4),
        destination: v4(B4),
        source_port: 40_000,
        destination_port: 80,
        protocol: protocol::TCP,
        family: 4,
        tcp_flags: tcp_flags::SYN,
        icmp_type: 0,
        echo_sequence: 0,
        ttl: 64,
        traffic_class: 0,
        tcp_window: 1000,
        tcp_sequence: 1u32.to_be(),
        tcp_acknowledgment: 0,
        header_len: 54,
        end: 54 + 7,
    };
    assert_eq!(packet, expected);
    assert_cut_anywhere(&bytes, packet);
}

#[test]
fn udp_over_ipv6() {
    let bytes = udp6();
    let packet = parse(&bytes[..]).unwrap();
    assert_eq!(packet.source.octets(), A6);
    assert_eq!(packet.destination.octets(), B6);
    assert_eq!((packet.source_port, packet.destination_port), (5000, 53));
    assert_eq!((packet.protocol, packet.family, packet.header_len), (protocol::UDP, 6, 62));
    assert_cut_anywhere(&bytes, packet);
}

#[test]
fn ip_options_move_the_ports() {
    let options = Ipv4Options::try_from(&[1u8; 40][..]).unwrap();
    let mut ip = Ipv4Header::new(0, 64, IpNumber::UDP, A4, B4).unwrap();
    ip.options = options;
    let step = PacketBuilder::ethernet2(MAC_A, MAC_B)
        .ip(etherparse::IpHeaders::Ipv4(ip, etherparse::Ipv4Extensions::default()))
        .udp(1234, 4321);
    let bytes = packet!(step);
    let packet = parse(&bytes[..]).unwrap();
    assert_eq!((packet.source_port, packet.destination_port), (1234, 4321));
    assert_eq!(packet.header_len, 14 + 60 + 8);
    // The options themselves are skipped, so only what is behind them has to be there.
    assert_cut_anywhere(&bytes, packet);
}

#[test]
fn tcp_options_count_as_header() {
    let step = PacketBuilder::ethernet2(MAC_A, MAC_B)
        .ipv4(A4, B4, 64)
        .tcp(1, 2, 3, 4)
        .options_raw(&[1; 12])
        .unwrap();
    let bytes = packet!(step);
    assert_eq!(parse(&bytes[..]).unwrap().header_len, 54 + 12);
}

#[test]
fn traffic_class_and_hop_limit_of_both_families() {
    let mut bytes = tcp4();
    bytes[15] = 0xb9;
    let packet = parse(&bytes[..]).unwrap();
    assert_eq!((packet.traffic_class, packet.ttl), (0xb9, 64));
    let mut bytes = udp6();
    // Version 6, traffic class 0xb9, flow label 0xfffff.
    bytes[14..18].copy_from_slice(&[0x6b, 0x9f, 0xff, 0xff]);
    let packet = parse(&bytes[..]).unwrap();
    assert_eq!((packet.traffic_class, packet.ttl), (0xb9, 64));
}

#[test]
fn the_payload_ends_where_ip_says() {
    let mut bytes = tcp4();
    bytes.extend([0; 40]);
    assert_eq!(parse(&bytes[..]).unwrap().payload_len(), 7, "not the padding");
    let mut bytes = udp6();
    bytes.extend([0; 40]);
    assert_eq!(parse(&bytes[..]).unwrap().payload_len(), 7);
    // BIG TCP: no length until segmentation.
    bytes[18..20].copy_from_slice(&[0, 0]);
    assert_eq!(parse(&bytes[..]).unwrap().payload_len(), 0);
    let mut bytes = tcp4();
    bytes[16..18].copy_from_slice(&[0, 0]);
    assert_eq!(parse(&bytes[..]).unwrap().payload_len(), 0);
}

#[test]
fn echo_request_and_reply_have_one_key() {
    let request =
        packet!(PacketBuilder::ethernet2(MAC_A, MAC_B).ipv4(A4, B4, 64).icmpv4_echo_request(77, 1));
    let reply =
        packet!(PacketBuilder::ethernet2(MAC_B, MAC_A).ipv4(B4, A4, 64).icmpv4_echo_reply(77, 1));
    let (request, reply) = (parse(&request[..]).unwrap(), parse(&reply[..]).unwrap());
    assert_eq!((request.icmp_type, reply.icmp_type), (ECHO_REQUEST, ECHO_REPLY));
    assert_eq!((request.source_port, request.destination_port), (77, 77));
    assert_eq!((reply.source_port, reply.destination_port), (77, 77));
    assert_eq!((request.source, request.destination), (reply.destination, reply.source));
}

#[test]
fn icmpv6_echo_and_other_messages() {
    let echo =
        packet!(PacketBuilder::ethernet2(MAC_A, MAC_B).ipv6(A6, B6, 64).icmpv6_echo_request(9, 1));
    let packet = parse(&echo[..]).unwrap();
    assert_eq!((packet.icmp_type, packet.source_port), (ECHO_REQUEST_V6, 9));
    assert_cut_anywhere(&echo, packet);
    let mut solicitation = echo.clone();
    solicitation[54] = 135;
    assert_eq!(parse(&solicitation[..]).unwrap().source_port, 0, "no identifier in other messages");
}

#[test]
fn protocols_without_a_parser_are_flows_without_ports() {
    let mut bytes = tcp4();
    bytes[23] = 47;
    let packet = parse(&bytes[..]).unwrap();
    assert_eq!((packet.protocol, packet.source_port, packet.header_len), (47, 0, 34));
    assert_cut_anywhere(&bytes, packet);
}

#[test]
fn an_icmp_of_the_wrong_family_is_not_parsed_as_one() {
    let mut bytes = tcp4();
    bytes[23] = protocol::ICMPV6;
    assert_eq!(parse(&bytes[..]).unwrap().icmp_type, 0);
}

#[test]
fn fragments_only_the_first_has_ports() {
    let mut first = tcp4();
    first[20] = 0x20;
    assert_eq!(parse(&first[..]).unwrap().destination_port, 80);
    let mut later = tcp4();
    later[21] = 1;
    assert_eq!(parse(&later[..]), Err(Outcome::LaterFragment));
}

/// An IPv6 packet with extension headers of eight bytes each in front of UDP.
fn extended(headers: &[u8], fragment_offset: u16) -> Vec<u8> {
    let mut bytes = udp6();
    let udp = bytes.split_off(54);
    let chain: Vec<u8> = headers.iter().copied().chain([protocol::UDP]).collect();
    bytes[20] = chain[0];
    for pair in chain.windows(2) {
        let mut header = [pair[1], 0, 0, 0, 0, 0, 0, 0];
        match pair[0] {
            44 => header[2..4].copy_from_slice(&(fragment_offset << 3).to_be_bytes()),
            // The length of this one is in words of four bytes, minus two.
            51 => header[1] = 0,
            _ => {}
        }
        bytes.extend(header);
    }
    bytes.extend(udp);
    bytes
}

#[test]
fn ipv6_extension_headers_are_followed() {
    for chain in [&[0u8][..], &[43], &[60], &[44], &[51], &[0, 60, 43, 44, 51, 60]] {
        let bytes = extended(chain, 0);
        let packet = parse(&bytes[..]).unwrap();
        assert_eq!((packet.source_port, packet.destination_port), (5000, 53), "{chain:?}");
        assert_eq!(packet.header_len as usize, 54 + chain.len() * 8 + 8);
        assert_cut_anywhere(&bytes, packet);
    }
}

#[test]
fn a_packet_without_its_frame_is_the_same_packet() {
    for (frame, family) in [(tcp4(), 4), (udp6(), 6)] {
        let whole = parse(&frame[..]).unwrap();
        assert_eq!(parse_ip(&frame[..], 14, family), Ok(whole));
        let alone = parse_ip(&frame[14..], 0, family).unwrap();
        assert_eq!(
            alone,
            Packet { header_len: whole.header_len - 14, end: whole.end - 14, ..whole }
        );
        assert!(parse_ip(&frame[14..], 0, 10 - family).is_err(), "of the other family");
    }
}

#[test]
fn ipv6_chains_are_bounded() {
    assert_eq!(parse(&extended(&[60; 7], 0)[..]), Err(Outcome::Ipv6ExtensionLimit));
    assert_eq!(parse(&extended(&[44], 1)[..]), Err(Outcome::LaterFragment));
}

#[test]
fn arp_and_other_types_have_outcomes() {
    let mut arp = [0xff; 14 + 28];
    arp[12..14].copy_from_slice(&[0x08, 0x06]);
    assert_eq!(parse(&arp[..]), Err(Outcome::Arp));
    assert_eq!(parse(&arp[..41]), Err(Outcome::Truncated));
    let mut bytes = tcp4();
    bytes[12..14].copy_from_slice(&[0x00, 0x26]);
    assert_eq!(parse(&bytes[..]), Err(Outcome::Llc));
    bytes[12..14].copy_from_slice(&[0x88, 0xcc]);
    assert_eq!(parse(&bytes[..]), Err(Outcome::OtherEthertype));
}

#[test]
fn bad_headers_are_named() {
    let mut bytes = tcp4();
    bytes[14] = 0x44;
    assert_eq!(parse(&bytes[..]), Err(Outcome::BadIpv4Header), "header length 16");
    bytes[14] = 0x65;
    assert_eq!(parse(&bytes[..]), Err(Outcome::BadIpv4Header), "version 6");
    let mut bytes = tcp4();
    bytes[46] = 0x40;
    assert_eq!(parse(&bytes[..]), Err(Outcome::BadTcpHeader));
    let mut bytes = udp6();
    bytes[14] = 0x40;
    assert_eq!(parse(&bytes[..]), Err(Outcome::BadIpv6Header));
}

proptest! {
    #[test]
    fn any_bytes_have_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(packet) = parse(&bytes[..]) {
            prop_assert!(packet.family == 4 || packet.family == 6);
        }
    }

    #[test]
    fn any_headers_have_an_answer(rest in prop::collection::vec(any::<u8>(), 0..300), ipv6 in any::<bool>()) {
        let mut bytes = if ipv6 { udp6() } else { tcp4() };
        bytes.truncate(20);
        bytes.extend(rest);
        let _ = parse(&bytes[..]);
    }
}
