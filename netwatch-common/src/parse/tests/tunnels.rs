//! VXLAN and Geneve.

use super::*;

const VXLAN: [u8; 8] = [0x08, 0, 0, 0, 0, 0, 42, 0];

/// UDP over IPv4 to this port with a tunnel's header and a frame.
fn tunnel(port: u16, header: &[u8], frame: &[u8]) -> Vec<u8> {
    let payload = [header, frame].concat();
    let step = PacketBuilder::ethernet2(MAC_A, MAC_B).ipv4(A4, B4, 64).udp(50_000, port);
    let mut bytes = Vec::new();
    step.write(&mut bytes, &payload).unwrap();
    bytes
}

/// The inner packet reads as it does alone, further back.
fn assert_inner(bytes: &[u8], at: u32, frame: &[u8]) {
    let outer = parsed(bytes).unwrap();
    assert_eq!((outer.inner_at, outer.header_len, outer.source_port), (at, 42, 50_000));
    let alone = parsed(frame).unwrap();
    let expected = Packet { header_len: alone.header_len + at, end: alone.end + at, ..alone };
    assert_eq!(parse_at(bytes, at), Ok(expected));
    assert_eq!(parse_at(&OneAtATime::new(bytes, &Cell::new(0)), at), Ok(expected));
    assert_cut_before(bytes, at.min(50));
    for len in at as usize..expected.header_len as usize {
        assert_eq!(parse_at(&bytes[..len], at), Err(Outcome::Truncated), "cut after {len} bytes");
    }
}

#[test]
fn a_frame_in_vxlan() {
    for port in [4789, 8472] {
        assert_inner(&tunnel(port, &VXLAN, &udp6()), 50, &udp6());
    }
    let mut tagged = tcp4();
    tagged.splice(12..12, [0x81, 0x00, 0, 1]);
    assert_inner(&tunnel(4789, &VXLAN, &tagged), 50, &tagged);
}

#[test]
fn a_frame_in_geneve() {
    for words in [0, 1, 63] {
        let header =
            [&[words, 0, 0x65, 0x58, 0, 0, 42, 0][..], &[7; 252][..usize::from(words) * 4]];
        let bytes = tunnel(6081, &header.concat(), &tcp4());
        assert_inner(&bytes, 50 + u32::from(words) * 4, &tcp4());
    }
}

#[test]
fn anything_else_to_these_ports_is_plain_udp() {
    let no_identifier = [0, 0, 0, 0, 0, 0, 42, 0];
    let version_one = [0x40, 0, 0x65, 0x58, 0, 0, 42, 0];
    let no_ethernet = [0, 0, 0x08, 0x00, 0, 0, 42, 0];
    for (port, header) in
        [(4789, &no_identifier[..]), (6081, &version_one), (6081, &no_ethernet), (4789, &[8; 7])]
    {
        let packet = parsed(&tunnel(port, header, &[])).unwrap();
        assert_eq!((packet.inner_at, packet.destination_port), (0, port), "{header:?}");
    }
    assert_eq!(parsed(&tunnel(4790, &VXLAN, &tcp4())).unwrap().inner_at, 0);
    let mut from = tunnel(1, &VXLAN, &tcp4());
    from[34..36].copy_from_slice(&4789u16.to_be_bytes());
    assert_eq!(parsed(&from).unwrap().inner_at, 0, "only the destination says so");
    let mut lite = tunnel(4789, &VXLAN, &tcp4());
    lite[23] = protocol::UDP_LITE;
    assert_eq!(parsed(&lite).unwrap().inner_at, 0);
}

#[test]
fn a_tunnel_in_a_tunnel_is_announced() {
    let inner = tunnel(4789, &VXLAN, &tcp4());
    let bytes = tunnel(4789, &VXLAN, &inner);
    assert_eq!(parse_at(&bytes[..], 50).unwrap().inner_at, 100);
}
