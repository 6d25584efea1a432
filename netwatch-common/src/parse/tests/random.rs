//! Any bytes have an answer, and the three ways to it agree.

use proptest::prelude::*;

use super::*;

/// Rejects nothing that [`parsed`] accepts; follows what it announces.
fn follow(bytes: &[u8]) {
    let Ok(packet) = parsed(bytes) else { return };
    assert!([family::ARP, family::IPV4, family::IPV6].contains(&packet.family));
    assert!(packet.fragment != fragment::LATER || packet.source_port == 0);
    if packet.quoted_at != 0 {
        let _ = quotation(bytes);
    }
    if packet.inner_at != 0 {
        let _ = parse_at(bytes, packet.inner_at);
    }
}

proptest! {
    #[test]
    fn any_bytes_have_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        follow(&bytes);
    }

    #[test]
    fn any_headers_have_an_answer(rest in prop::collection::vec(any::<u8>(), 0..300), ipv6 in any::<bool>()) {
        let mut bytes = if ipv6 { udp6() } else { tcp4() };
        bytes.truncate(20);
        bytes.extend(rest);
        follow(&bytes);
    }

    #[test]
    fn any_offset_has_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200), offset in any::<u32>()) {
        // A caller takes offsets from a packet, where they are small; the slice has to stand all others, too.
        let offset = offset % 70_000;
        let _ = parse_at(&bytes[..], offset);
        let _ = quoted(&bytes[..], offset, family::IPV4);
        let _ = quoted(&bytes[..], offset, family::IPV6);
    }
}
