//! TCP, UDP, UDP-Lite, SCTP, and protocols without a parser.

use super::*;

#[test]
fn tcp_over_ipv4() {
    let bytes = tcp4();
    let expected = Packet {
        source: v4(A4),
        destination: v4(B4),
        source_port: 40_000,
        destination_port: 80,
        protocol: protocol::TCP,
        family: family::IPV4,
        tcp_flags: tcp_flags::SYN,
        ttl: 64,
        tcp_window: 1000,
        tcp_sequence: 1u32.to_be(),
        source_mac: MAC_A,
        header_len: 54,
        end: 54 + 7,
        ..Packet::default()
    };
    assert_eq!(in_common(&bytes[..]), Some(expected));
    assert_eq!(in_plain(&bytes), Some(Packet::of(&expected)));
    assert_eq!(parsed(&bytes), Ok(expected));
    assert_cut_anywhere(&bytes);
}

#[test]
fn udp_over_ipv6() {
    let bytes = udp6();
    let packet = parsed(&bytes).unwrap();
    assert_eq!(in_common(&bytes[..]), Some(packet));
    assert_eq!(in_plain(&bytes), Some(Packet::of(&packet)));
    assert_eq!(packet.source.octets(), A6);
    assert_eq!(packet.destination.octets(), B6);
    assert_eq!((packet.source_port, packet.destination_port), (5000, 53));
    assert_eq!((packet.protocol, packet.family), (protocol::UDP, family::IPV6));
    assert_eq!((packet.header_len, packet.payload_len()), (62, 7));
    assert_cut_anywhere(&bytes);
}

#[test]
fn tcp_options_count_as_header() {
    let step = PacketBuilder::ethernet2(MAC_A, MAC_B)
        .ipv4(A4, B4, 64)
        .tcp(1, 2, 3, 4)
        .options_raw(&[1; 12])
        .unwrap();
    let bytes = packet!(step);
    let packet = parsed(&bytes).unwrap();
    assert_eq!((packet.header_len, packet.payload_len()), (54 + 12, 7));
    // They are not read, so they need not be there.
    assert_cut_before(&bytes, 54);
}

#[test]
fn a_tcp_header_below_20_bytes_is_named() {
    let mut bytes = tcp4();
    bytes[46] = 0x4f;
    assert_eq!(parsed(&bytes), Err(Outcome::BadTcpHeader));
}

#[test]
fn udp_lite_and_sctp_have_ports() {
    let header = [0x9c, 0x40, 0x0b, 0x59, 0, 0, 0, 0, 0, 0, 0, 0];
    for (number, length) in [(protocol::UDP_LITE, 8), (protocol::SCTP, 12)] {
        for (bytes, start) in
            [(ipv4(number, &header[..length]), 34), (ipv6(number, &header[..length]), 54)]
        {
            let packet = parsed(&bytes).unwrap();
            assert_eq!(in_common(&bytes[..]), Some(packet));
            assert_eq!(in_plain(&bytes), None);
            assert_eq!((packet.protocol, packet.source_port), (number, 40_000));
            assert_eq!(
                (packet.destination_port, packet.header_len as usize),
                (2905, start + length)
            );
            assert_cut_anywhere(&bytes);
        }
    }
}

#[test]
fn protocols_without_a_parser_are_flows_without_ports() {
    const IGMP: u8 = 2;
    const GRE: u8 = 47;
    const ESP: u8 = 50;
    const OSPF: u8 = 89;
    for number in [IGMP, GRE, ESP, OSPF, 0xff] {
        for (bytes, start) in [(ipv4(number, PAYLOAD), 34), (ipv6(number, PAYLOAD), 54)] {
            let packet = parsed(&bytes).unwrap();
            assert_eq!(
                (packet.protocol, packet.source_port, packet.header_len),
                (number, 0, start)
            );
            assert_cut_anywhere(&bytes);
        }
    }
}
