//! ICMP and ICMPv6: echoes, and errors with what they quote.

use super::*;

#[test]
fn echo_request_and_reply_have_one_key() {
    let request =
        packet!(PacketBuilder::ethernet2(MAC_A, MAC_B).ipv4(A4, B4, 64).icmpv4_echo_request(77, 3));
    let reply =
        packet!(PacketBuilder::ethernet2(MAC_B, MAC_A).ipv4(B4, A4, 64).icmpv4_echo_reply(77, 3));
    assert_cut_anywhere(&request);
    let (request, reply) = (parsed(&request).unwrap(), parsed(&reply).unwrap());
    assert_eq!((request.icmp_type, reply.icmp_type), (ECHO_REQUEST, ECHO_REPLY));
    assert_eq!((request.source_port, request.destination_port), (77, 77));
    assert_eq!((reply.source_port, reply.destination_port), (77, 77));
    assert_eq!((request.source, request.destination), (reply.destination, reply.source));
    assert_eq!((request.echo_sequence, reply.echo_sequence, request.quoted_at), (3, 3, 0));
}

#[test]
fn icmpv6_echo_and_other_messages() {
    let echo =
        packet!(PacketBuilder::ethernet2(MAC_A, MAC_B).ipv6(A6, B6, 64).icmpv6_echo_request(9, 4));
    let packet = parsed(&echo).unwrap();
    assert_eq!((packet.icmp_type, packet.source_port), (ECHO_REQUEST_V6, 9));
    assert_eq!((packet.destination_port, packet.echo_sequence), (9, 4));
    assert_cut_anywhere(&echo);
    let mut solicitation = echo.clone();
    solicitation[54..56].copy_from_slice(&[135, 6]);
    let packet = parsed(&solicitation).unwrap();
    assert_eq!((packet.icmp_type, packet.icmp_code, packet.quoted_at), (135, 6, 0));
    assert_eq!((packet.source_port, packet.echo_sequence), (0, 0), "only echoes are numbered");
}

#[test]
fn an_icmp_of_the_wrong_family_is_not_parsed_as_one() {
    let packet = parsed(&ipv4(protocol::ICMPV6, &[128, 1, 0, 0, 0, 9, 0, 1])).unwrap();
    assert_eq!((packet.icmp_type, packet.source_port, packet.header_len), (0, 0, 34));
    let packet = parsed(&ipv6(protocol::ICMP, &[8, 1, 0, 0, 0, 9, 0, 1])).unwrap();
    assert_eq!((packet.icmp_type, packet.source_port, packet.header_len), (0, 0, 54));
}

/// A message of this type and code with this behind its header.
fn message4(kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    ipv4(protocol::ICMP, &[&[kind, code, 0, 0, 0, 0, 0, 0], rest].concat())
}

fn message6(kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    ipv6(protocol::ICMPV6, &[&[kind, code, 0, 0, 0, 0, 0, 0], rest].concat())
}

#[test]
fn errors_and_redirects_quote() {
    for kind in 0..=255 {
        let quotes = [3, 4, 5, 11, 12].contains(&kind);
        let packet = parsed(&message4(kind, 1, &tcp4()[14..])).unwrap();
        assert_eq!(packet.quoted_at, if quotes { 42 } else { 0 }, "type {kind}");
        assert_eq!((packet.icmp_type, packet.icmp_code), (kind, 1));
        let quotes = [1, 2, 3, 4].contains(&kind);
        let packet = parsed(&message6(kind, 1, &udp6()[14..])).unwrap();
        assert_eq!(packet.quoted_at, if quotes { 62 } else { 0 }, "type {kind}");
    }
}

#[test]
fn a_quotation_reads_like_the_packet() {
    let sctp = [0x9c, 0x40, 0x0b, 0x59, 1, 2, 3, 4, 0, 0, 0, 0];
    let echo = [ECHO_REQUEST, 0, 0, 0, 0, 9, 0, 4];
    for original in [
        tcp4(),
        ipv4(protocol::UDP, &[0x13, 0x88, 0, 53, 0, 8, 0, 0]),
        ipv4(protocol::UDP_LITE, &sctp[..8]),
        ipv4(protocol::SCTP, &sctp),
        ipv4(protocol::ICMP, &echo),
    ] {
        // The network header, and of what is behind it no more than a router must quote.
        let message = message4(3, 3, &original[14..42]);
        let (whole, quoted) = (parsed(&original).unwrap(), quotation(&message).unwrap());
        let expected = Packet {
            source_mac: [0; 6],
            tcp_flags: 0,
            tcp_window: 0,
            tcp_acknowledgment: 0,
            header_len: 42 + 28,
            end: whole.end + 28,
            ..whole
        };
        assert_eq!(quoted, expected);
    }
}

#[test]
fn a_quotation_of_ipv6_reads_like_the_packet() {
    let echo = [ECHO_REQUEST_V6, 0, 0, 0, 0, 9, 0, 4];
    let fragment = [protocol::UDP, 0, 0, 1, 0, 0, 0, 7, 0x13, 0x88, 0, 53, 0, 8, 0, 0];
    for (original, headers) in
        [(udp6(), 0), (ipv6(protocol::ICMPV6, &echo), 0), (ipv6(44, &fragment), 8)]
    {
        let message = message6(1, 4, &original[14..62 + headers]);
        let (whole, quoted) = (parsed(&original).unwrap(), quotation(&message).unwrap());
        let expected = Packet {
            source_mac: [0; 6],
            header_len: whole.header_len + 48,
            end: whole.end + 48,
            ..whole
        };
        assert_eq!(quoted, expected);
    }
}

#[test]
fn a_quotation_may_end_anywhere() {
    let message = message4(11, 0, &tcp4()[14..42]);
    for len in 42..message.len() {
        assert_eq!(quoted(&message[..len], 42, family::IPV4), Err(Outcome::Truncated), "{len}");
    }
    let message = message6(3, 0, &udp6()[14..62]);
    for len in 62..message.len() {
        assert_eq!(quoted(&message[..len], 62, family::IPV6), Err(Outcome::Truncated), "{len}");
    }
}

#[test]
fn a_quoted_protocol_without_a_parser_needs_no_transport_header() {
    let message = message4(3, 2, &ipv4(47, PAYLOAD)[14..34]);
    let packet = quotation(&message).unwrap();
    assert_eq!((packet.protocol, packet.source_port, packet.header_len), (47, 0, 62));
}

#[test]
fn a_quoted_later_fragment_has_no_ports() {
    let mut original = tcp4();
    original[21] = 9;
    let packet = quotation(&message4(11, 1, &original[14..42])).unwrap();
    assert_eq!((packet.fragment, packet.source_port), (fragment::LATER, 0));
}

#[test]
fn a_quotation_that_is_none_is_named() {
    assert_eq!(quotation(&message4(3, 0, &[0; 28])), Err(Outcome::BadIpv4Header));
    assert_eq!(quotation(&message6(1, 0, &[0; 48])), Err(Outcome::BadIpv6Header));
}

/// A redirect of neighbour discovery with these options.
fn redirect(options: &[u8]) -> Vec<u8> {
    message6(137, 0, &[&A6[..], &B6, options].concat())
}

#[test]
fn a_redirect_of_ipv6_quotes_in_an_option() {
    let link_layer = [2, 1, 2, 0, 0, 0, 0, 3];
    let redirected = [&[4, 7, 0, 0, 0, 0, 0, 0][..], &udp6()[14..62]].concat();
    for (options, at) in
        [(redirected.clone(), 54 + 40 + 8), ([&link_layer[..], &redirected].concat(), 54 + 40 + 16)]
    {
        let bytes = redirect(&options);
        let packet = parsed(&bytes).unwrap();
        assert_eq!((packet.quoted_at, packet.header_len), (at, 62));
        assert_eq!(quotation(&bytes).unwrap().destination_port, 53);
        assert_cut_before(&bytes, at);
    }
}

#[test]
fn a_redirect_may_quote_nothing() {
    for options in [&[][..], &[2, 1, 2, 0, 0, 0, 0, 3], &[0; 8], &[2, 255, 0, 0, 0, 0, 0, 0]] {
        assert_eq!(parsed(&redirect(options)).unwrap().quoted_at, 0, "{options:?}");
    }
}
