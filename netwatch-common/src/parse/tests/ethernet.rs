//! Ethernet, VLAN, LLC and ARP.

use super::*;

/// The frame with this between its addresses and its Ethernet type.
fn with(between: &[u8], mut frame: Vec<u8>) -> Vec<u8> {
    frame.splice(12..12, between.iter().copied());
    frame
}

const TAG: &[u8] = &[0x81, 0x00, 0x20, 0x05];
const SERVICE_TAG: &[u8] = &[0x88, 0xa8, 0x00, 0x07];
const SNAP: &[u8] = &[0xaa, 0xaa, 0x03, 0, 0, 0];

#[test]
fn the_source_mac_is_the_second_address() {
    assert_eq!(parsed(&tcp4()).unwrap().source_mac, MAC_A);
}

#[test]
fn one_tag_or_two_move_the_headers() {
    for tags in [TAG, SERVICE_TAG, &[SERVICE_TAG, TAG].concat(), &[TAG, TAG].concat()] {
        for frame in [tcp4(), udp6()] {
            let plain = parsed(&frame).unwrap();
            let moved = u32::try_from(tags.len()).unwrap();
            let expected =
                Packet { header_len: plain.header_len + moved, end: plain.end + moved, ..plain };
            let tagged = with(tags, frame);
            assert_eq!(parsed(&tagged), Ok(expected), "{tags:02x?}");
            assert_cut_anywhere(&tagged);
        }
    }
}

#[test]
fn a_third_tag_is_not_followed() {
    let frame = with(&[SERVICE_TAG, TAG, TAG].concat(), tcp4());
    assert_eq!(parsed(&frame), Err(Outcome::OtherEthertype));
}

#[test]
fn snap_carries_an_ethernet_type() {
    for tags in [&[][..], TAG] {
        let frame = with(&[tags, &[0x00, 0x3c], SNAP].concat(), tcp4());
        let packet = parsed(&frame).unwrap();
        assert_eq!(packet.destination_port, 80);
        assert_eq!(packet.header_len as usize, 54 + tags.len() + 8);
        assert_cut_anywhere(&frame);
    }
}

#[test]
fn llc_without_an_ethernet_type_is_an_outcome() {
    let spanning_tree = [&MAC_A[..], &MAC_B, &[0, 38, 0x42, 0x42, 3], &[0; 40]].concat();
    assert_eq!(parsed(&spanning_tree), Err(Outcome::Llc));
    assert_eq!(parsed(&spanning_tree[..17]), Err(Outcome::Llc));
    assert_eq!(parsed(&spanning_tree[..16]), Err(Outcome::Truncated));
    let cisco = with(&[0x00, 0x3c, 0xaa, 0xaa, 0x03, 0x00, 0x00, 0x0c], tcp4());
    assert_eq!(parsed(&cisco), Err(Outcome::Llc), "an organisation's own numbers");
    let length = with(&[&[0x00, 0x3c], SNAP, &[0x05, 0xff]].concat(), tcp4());
    assert_eq!(parsed(&length), Err(Outcome::Llc), "a type that is none");
    let tag = with(&[&[0x00, 0x3c], SNAP, TAG].concat(), tcp4());
    assert_eq!(parsed(&tag), Err(Outcome::OtherEthertype), "tags stand in front of SNAP");
}

#[test]
fn types_begin_where_lengths_end() {
    let mut frame = tcp4();
    frame[12..14].copy_from_slice(&[0x05, 0xff]);
    assert_eq!(parsed(&frame), Err(Outcome::Llc));
    frame[12..14].copy_from_slice(&[0x06, 0x00]);
    assert_eq!(parsed(&frame), Err(Outcome::OtherEthertype));
    frame[12..14].copy_from_slice(&[0x88, 0xcc]);
    assert_eq!(parsed(&frame), Err(Outcome::OtherEthertype));
}

/// An ARP packet of A, who asks for B.
fn arp() -> Vec<u8> {
    let fixed = [0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1];
    [&[0xff; 6][..], &MAC_A, &fixed, &MAC_A, &A4, &[0; 6], &B4].concat()
}

#[test]
fn arp_asks_and_answers() {
    let request = arp();
    let expected = Packet {
        source: v4(A4),
        destination: v4(B4),
        family: family::ARP,
        icmp_type: ARP_REQUEST,
        source_mac: MAC_A,
        header_len: 42,
        end: 42,
        ..Packet::default()
    };
    assert_eq!(parsed(&request), Ok(expected));
    assert_cut_anywhere(&request);
    assert_cut_anywhere(&with(TAG, request.clone()));
    let mut reply = request;
    reply[21] = 2;
    assert_eq!(parsed(&reply).unwrap().icmp_type, ARP_REPLY);
}

#[test]
fn arp_about_oneself_is_arp_too() {
    let mut probe = arp();
    probe[28..32].fill(0);
    assert_eq!(parsed(&probe).unwrap().source, v4([0; 4]));
    let mut gratuitous = arp();
    gratuitous[38..42].copy_from_slice(&A4);
    let packet = parsed(&gratuitous).unwrap();
    assert_eq!(packet.source, packet.destination);
}

#[test]
fn arp_about_anything_else_is_an_outcome() {
    // Hardware, protocol, their lengths, operation: 0, 3 (of reverse ARP), 257.
    for (at, value) in [(15, 6), (16, 0x86), (18, 8), (19, 16), (21, 0), (21, 3), (20, 1)] {
        let mut frame = arp();
        frame[at] = value;
        assert_eq!(parsed(&frame), Err(Outcome::Arp), "byte {at} is {value}");
        assert_eq!(parsed(&frame[..22]), Err(Outcome::Arp));
        assert_eq!(parsed(&frame[..21]), Err(Outcome::Truncated));
    }
}
