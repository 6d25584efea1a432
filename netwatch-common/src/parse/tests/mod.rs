//! Packets made by an independent library or by hand, whole and cut off at every byte.

extern crate std;

mod ethernet;
mod extensions;
mod icmp;
mod ip;
mod one_at_a_time;
mod random;
mod transport;
mod tunnels;

use core::cell::Cell;
use std::{vec, vec::Vec};

use etherparse::{IpNumber, Ipv4Header, PacketBuilder};
use one_at_a_time::OneAtATime;

use super::*;

const MAC_A: [u8; 6] = [2, 0, 0, 0, 0, 1];
const MAC_B: [u8; 6] = [2, 0, 0, 0, 0, 2];
const A4: [u8; 4] = [172, 17, 0, 2];
const B4: [u8; 4] = [172, 17, 0, 3];
const A6: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
const B6: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3];
const PAYLOAD: &[u8] = b"payload";

/// Writes a packet with etherparse.
macro_rules! packet {
    ($step:expr) => {{
        let step = $step;
        let mut bytes = Vec::with_capacity(step.size(PAYLOAD.len()));
        step.write(&mut bytes, PAYLOAD).unwrap();
        bytes
    }};
}

use packet;

fn tcp4() -> Vec<u8> {
    packet!(PacketBuilder::ethernet2(MAC_A, MAC_B).ipv4(A4, B4, 64).tcp(40_000, 80, 1, 1000).syn())
}

fn udp6() -> Vec<u8> {
    packet!(PacketBuilder::ethernet2(MAC_A, MAC_B).ipv6(A6, B6, 64).udp(5000, 53))
}

/// What the two halves of the common way answer together, with the address that they leave out.
fn in_common(bytes: &[u8]) -> Option<Packet> {
    let packet = common_transport(bytes, common(bytes)?)?;
    Some(Packet { source_mac: bytes[6..12].try_into().unwrap(), ..packet })
}

/// What [`plain`] has visited.
fn in_plain(bytes: &[u8]) -> Option<Packet> {
    struct Fields;
    impl Visitor for Fields {
        type Answer = Packet;

        fn visit<P: Headers, const TCP: bool>(self, packet: &P) -> Packet {
            let answer = Packet::of(packet);
            assert_eq!(TCP, answer.protocol == protocol::TCP);
            assert_eq!(P::IS_IPV4, answer.family == family::IPV4);
            assert_eq!(packet.ports(), answer.ports());
            assert_eq!(packet.payload_len(), answer.payload_len());
            answer
        }
    }
    plain(bytes, Fields)
}

fn v4(octets: [u8; 4]) -> Address {
    Address::from_v4_word(u32::from_ne_bytes(octets))
}

/// An IPv4 packet of any protocol with this behind the header.
fn ipv4(protocol: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap();
    let header = Ipv4Header::new(length, 64, IpNumber(protocol), A4, B4).unwrap();
    [&MAC_B[..], &MAC_A, &[8, 0], &header.to_bytes(), rest].concat()
}

/// An IPv6 packet whose header names this next one, with this behind.
fn ipv6(next: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [&MAC_B[..], &MAC_A, &[0x86, 0xdd, 0x60, 0, 0, 0], &length, &[next, 64], &A6, &B6, rest]
        .concat()
}

/// What [`parse`] says, after making sure that [`plain`], [`common`] and a reader with room for one header say the same.
fn parsed(bytes: &[u8]) -> Result<Packet, Outcome> {
    let answer = parse(bytes);
    if let Some(packet) = in_common(bytes) {
        assert_eq!(answer, Ok(packet), "the short way and the long one: {bytes:02x?}");
    }
    if let Some(packet) = in_plain(bytes) {
        assert_eq!(
            answer.map(|long| Packet::of(&long)),
            Ok(packet),
            "the express way: {bytes:02x?}"
        );
    }
    assert_eq!(answer, parse(&OneAtATime::new(bytes, &Cell::new(0))), "{bytes:02x?}");
    answer
}

/// What [`quoted`] says of a message, or why there is none.
fn quotation(bytes: &[u8]) -> Result<Packet, Outcome> {
    let message = parsed(bytes)?;
    assert_ne!(message.quoted_at, 0, "a message that quotes");
    let answer = quoted(bytes, message.quoted_at, message.family);
    let latest = Cell::new(0);
    let reader = OneAtATime::new(bytes, &latest);
    assert_eq!(answer, quoted(&reader, message.quoted_at, message.family));
    answer
}

/// The packet is truncated at every byte before `read`, where what has to be read of it ends, and the same from there on.
fn assert_cut_before(bytes: &[u8], read: u32) {
    let whole = parsed(bytes);
    assert!(whole.is_ok() && bytes.len() >= read as usize, "{whole:?}");
    for len in 0..bytes.len() {
        let expected = if len < read as usize { Err(Outcome::Truncated) } else { whole };
        assert_eq!(parsed(&bytes[..len]), expected, "cut after {len} bytes");
    }
}

/// All headers have to be there, and nothing else.
fn assert_cut_anywhere(bytes: &[u8]) {
    assert_cut_before(bytes, parsed(bytes).unwrap().header_len);
}
