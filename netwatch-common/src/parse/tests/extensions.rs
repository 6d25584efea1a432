//! Extension headers of IPv6.

use super::*;

const UDP: [u8; 8] = [0x13, 0x88, 0, 53, 0, 15, 0, 0];

/// UDP behind extension headers of eight bytes each. A fragment header says `place` and has identification 0x12345678.
fn extended(chain: &[u8], place: u16) -> Vec<u8> {
    let kinds: Vec<u8> = chain.iter().copied().chain([protocol::UDP]).collect();
    let mut rest = Vec::new();
    for pair in kinds.windows(2) {
        let mut header = [pair[1], 0, 0, 0, 0x12, 0x34, 0x56, 0x78];
        if pair[0] == 44 {
            header[2..4].copy_from_slice(&place.to_be_bytes());
        }
        rest.extend(header);
    }
    rest.extend(UDP);
    rest.extend(PAYLOAD);
    ipv6(kinds[0], &rest)
}

#[test]
fn extension_headers_are_followed() {
    for chain in [&[0u8][..], &[43], &[60], &[44], &[51], &[0, 60, 43, 44, 51, 60]] {
        let bytes = extended(chain, 0);
        let packet = parsed(&bytes).unwrap();
        assert_eq!((packet.source_port, packet.destination_port), (5000, 53), "{chain:?}");
        assert_eq!((packet.protocol, packet.payload_len()), (protocol::UDP, 7));
        assert_eq!(packet.header_len as usize, 54 + chain.len() * 8 + 8);
        assert_cut_anywhere(&bytes);
    }
}

#[test]
fn six_are_followed_and_seven_are_not() {
    assert_eq!(parsed(&extended(&[60; 6], 0)).unwrap().destination_port, 53);
    assert_eq!(parsed(&extended(&[60; 7], 0)), Err(Outcome::Ipv6ExtensionLimit));
}

#[test]
fn lengths_are_in_eights_and_those_of_authentication_in_fours() {
    let mut options = vec![protocol::UDP, 2, 0, 0, 0, 0, 0, 0];
    options.extend([0; 16]);
    let authentication = [protocol::UDP, 4, 0, 0].into_iter().chain([0; 20]).collect();
    for (kind, header) in [(60, options), (51, authentication)] {
        let bytes = ipv6(kind, &[&header[..], &UDP, PAYLOAD].concat());
        let packet = parsed(&bytes).unwrap();
        assert_eq!((packet.header_len, packet.destination_port), (54 + 24 + 8, 53));
        assert_cut_anywhere(&bytes);
    }
}

#[test]
fn the_longest_headers_do_not_lead_out_of_the_packet() {
    let header = [60, 255, 0, 0, 0, 0, 0, 0];
    assert_eq!(parsed(&ipv6(60, &header)), Err(Outcome::Truncated));
    let longest: Vec<u8> = header.into_iter().chain([60; 2040]).collect();
    assert_eq!(parsed(&ipv6(60, &longest.repeat(6))), Err(Outcome::Ipv6ExtensionLimit));
    let mut last = longest.clone();
    last[0] = protocol::UDP;
    let bytes = ipv6(60, &[&longest.repeat(5)[..], &last, &UDP].concat());
    let packet = parsed(&bytes).unwrap();
    assert_eq!((packet.header_len, packet.destination_port), (54 + 6 * 2048 + 8, 53));
}

#[test]
fn the_first_fragment_has_ports() {
    let bytes = extended(&[0, 44, 60], 1);
    let packet = parsed(&bytes).unwrap();
    assert_eq!((packet.fragment, packet.fragment_id), (fragment::FIRST, 0x1234_5678));
    assert_eq!(packet.destination_port, 53);
    assert_cut_anywhere(&bytes);
}

#[test]
fn later_fragments_end_with_the_fragment_header() {
    for place in [8, 9, 0xfff8, 0xfff9] {
        // What the first fragment goes on with is not looked for in this one.
        let bytes = extended(&[0, 44, 60], place);
        let packet = parsed(&bytes).unwrap();
        assert_eq!((packet.fragment, packet.fragment_id), (fragment::LATER, 0x1234_5678));
        assert_eq!((packet.protocol, packet.source_port, packet.destination_port), (60, 0, 0));
        assert_eq!(packet.header_len, 54 + 16);
        assert_cut_anywhere(&bytes);
    }
}

#[test]
fn an_atomic_fragment_is_whole() {
    // RFC 6946; the reserved bits say nothing either.
    for place in [0, 6] {
        let packet = parsed(&extended(&[44], place)).unwrap();
        assert_eq!((packet.fragment, packet.fragment_id), (fragment::NONE, 0));
        assert_eq!(packet.destination_port, 53);
    }
}

#[test]
fn no_next_header_is_a_flow_without_ports() {
    let bytes = ipv6(59, PAYLOAD);
    let packet = parsed(&bytes).unwrap();
    assert_eq!((packet.protocol, packet.source_port, packet.header_len), (59, 0, 54));
    assert_cut_anywhere(&bytes);
}
