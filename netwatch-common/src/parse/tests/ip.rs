//! IPv4, and what both versions have in common.

use etherparse::{Ipv4Extensions, Ipv4Options};

use super::*;

#[test]
fn options_move_the_ports() {
    for length in [4, 20, 40] {
        let mut ip = Ipv4Header::new(0, 64, IpNumber::UDP, A4, B4).unwrap();
        ip.options = Ipv4Options::try_from(&[1u8; 40][..length]).unwrap();
        let step = PacketBuilder::ethernet2(MAC_A, MAC_B)
            .ip(etherparse::IpHeaders::Ipv4(ip, Ipv4Extensions::default()))
            .udp(1234, 4321);
        let bytes = packet!(step);
        let packet = parsed(&bytes).unwrap();
        assert_eq!((packet.source_port, packet.destination_port), (1234, 4321));
        assert_eq!((packet.header_len as usize, packet.payload_len()), (14 + 20 + length + 8, 7));
        // The options themselves are skipped, so only what is behind them has to be there.
        assert_cut_anywhere(&bytes);
    }
}

#[test]
fn traffic_class_and_hop_limit_of_both_families() {
    let mut bytes = tcp4();
    bytes[15] = 0xb9;
    let packet = parsed(&bytes).unwrap();
    assert_eq!((packet.traffic_class, packet.ttl), (0xb9, 64));
    let mut bytes = udp6();
    // Version 6, traffic class 0xb9, flow label 0xfffff.
    bytes[14..18].copy_from_slice(&[0x6b, 0x9f, 0xff, 0xff]);
    let packet = parsed(&bytes).unwrap();
    assert_eq!((packet.traffic_class, packet.ttl), (0xb9, 64));
}

#[test]
fn the_payload_ends_where_ip_says() {
    let mut bytes = tcp4();
    bytes.extend([0; 40]);
    assert_eq!(parsed(&bytes).unwrap().payload_len(), 7, "not the padding");
    let mut bytes = udp6();
    bytes.extend([0; 40]);
    assert_eq!(parsed(&bytes).unwrap().payload_len(), 7);
}

#[test]
fn a_length_of_zero_states_none() {
    // BIG TCP: no length until segmentation.
    let mut bytes = udp6();
    bytes[18..20].copy_from_slice(&[0, 0]);
    assert_eq!(parsed(&bytes).unwrap().payload_len(), 0);
    let mut bytes = tcp4();
    bytes[16..18].copy_from_slice(&[0, 0]);
    assert_eq!(parsed(&bytes).unwrap().payload_len(), 0);
}

#[test]
fn headers_end_where_ip_says() {
    // 20 bytes of IPv4 and 20 of TCP; one less, and padding would be taken for the rest of the header.
    for (length, expected) in [(40, true), (39, false), (20, false), (1, false), (0, true)] {
        let mut bytes = tcp4();
        bytes[17] = length;
        let answer = parsed(&bytes);
        assert_eq!(answer.is_ok(), expected, "{length}: {answer:?}");
        assert!(expected || answer == Err(Outcome::Truncated));
    }
    for (length, expected) in [(8, true), (7, false), (1, false), (0, true)] {
        let mut bytes = udp6();
        bytes[19] = length;
        let answer = parsed(&bytes);
        assert_eq!(answer.is_ok(), expected, "{length}: {answer:?}");
        assert!(expected || answer == Err(Outcome::Truncated));
    }
}

#[test]
fn bad_headers_are_named() {
    let mut bytes = tcp4();
    bytes[14] = 0x44;
    assert_eq!(parsed(&bytes), Err(Outcome::BadIpv4Header), "header length 16");
    bytes[14] = 0x65;
    assert_eq!(parsed(&bytes), Err(Outcome::BadIpv4Header), "version 6");
    let mut bytes = udp6();
    bytes[14] = 0x40;
    assert_eq!(parsed(&bytes), Err(Outcome::BadIpv6Header));
}

/// TCP over IPv4 with this in the bytes of flags and fragment offset, and identification 0x1234.
fn fragmented(flags_and_offset: u16) -> Vec<u8> {
    let mut bytes = tcp4();
    bytes[18..20].copy_from_slice(&[0x12, 0x34]);
    bytes[20..22].copy_from_slice(&flags_and_offset.to_be_bytes());
    bytes
}

#[test]
fn the_first_fragment_has_ports() {
    let packet = parsed(&fragmented(0x2000)).unwrap();
    assert_eq!((packet.fragment, packet.fragment_id), (fragment::FIRST, 0x1234));
    assert_eq!((packet.destination_port, packet.header_len), (80, 54));
    assert_cut_anywhere(&fragmented(0x2000));
}

#[test]
fn later_fragments_have_none() {
    for flags_and_offset in [0x2001, 0x0001, 0x1fff, 0x3fff] {
        let bytes = fragmented(flags_and_offset);
        let packet = parsed(&bytes).unwrap();
        assert_eq!((packet.fragment, packet.fragment_id), (fragment::LATER, 0x1234));
        assert_eq!((packet.source_port, packet.destination_port, packet.tcp_flags), (0, 0, 0));
        assert_eq!((packet.source, packet.destination), (v4(A4), v4(B4)));
        assert_eq!((packet.protocol, packet.header_len), (protocol::TCP, 34));
        assert_cut_anywhere(&bytes);
    }
}

#[test]
fn what_is_whole_has_no_fragment_id() {
    // "Don't fragment" and the reserved bit say nothing of fragments.
    for flags in [0x0000, 0x4000, 0x8000] {
        let packet = parsed(&fragmented(flags)).unwrap();
        assert_eq!((packet.fragment, packet.fragment_id), (fragment::NONE, 0));
    }
}

/// An authentication header with twelve bytes of check value in front of UDP.
fn authenticated() -> Vec<u8> {
    let udp = [0x13, 0x88, 0, 53, 0, 15, 0, 0];
    ipv4(51, &[&[protocol::UDP, 4, 0, 0][..], &[9; 20], &udp, PAYLOAD].concat())
}

#[test]
fn ipv4_is_read_through_an_authentication_header() {
    let bytes = authenticated();
    let packet = parsed(&bytes).unwrap();
    assert_eq!((packet.protocol, packet.destination_port), (protocol::UDP, 53));
    assert_eq!((packet.header_len, packet.payload_len()), (34 + 24 + 8, 7));
    assert_cut_anywhere(&bytes);
}

#[test]
fn a_later_fragment_has_no_authentication_header() {
    let mut bytes = authenticated();
    bytes[21] = 3;
    let packet = parsed(&bytes).unwrap();
    assert_eq!((packet.protocol, packet.fragment), (51, fragment::LATER));
    assert_eq!(packet.header_len, 34);
}

#[test]
fn a_second_authentication_header_is_a_flow_without_ports() {
    let header = [51, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let packet = parsed(&ipv4(51, &header.repeat(2))).unwrap();
    assert_eq!((packet.protocol, packet.source_port, packet.header_len), (51, 0, 34 + 12));
}
