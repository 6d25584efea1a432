//! What must hold of any bytes: one function a fuzz target, of the same name. `cargo test` runs them on the kept corpus.

use std::mem::offset_of;

use netwatch_common::{
    flow::{EvictedFlow, family},
    message::Message,
    outcome::Outcome,
    parse::{self, Headers, Packet, Visitor, fragment, protocol},
    record,
    sample::Sample,
};

/// What the express way reads.
struct Fields;

impl Visitor for Fields {
    type Answer = Packet;

    fn visit<P: Headers, const TCP: bool>(self, packet: &P) -> Packet {
        Packet::of(packet)
    }
}

/// A packet: the express way, the short way and the long one agree, and only what is read counts.
pub fn parse(bytes: &[u8]) {
    let answer = parse::parse(bytes);
    // The short way leaves out the Ethernet address.
    let short = parse::common(bytes).and_then(|packet| parse::common_transport(bytes, packet));
    if let Some(packet) = short {
        assert_eq!(answer.map(|long| Packet { source_mac: [0; 6], ..long }), Ok(packet));
    }
    if let Some(express) = parse::plain(bytes, Fields) {
        assert_eq!(answer.map(|long| Packet::of(&long)), Ok(express));
    }
    if let Ok(packet) = &answer {
        check(packet);
    }
    // Less of the packet is the same packet, or too little of it.
    for cut in [bytes.len() / 2, bytes.len().saturating_sub(1)] {
        let shorter = parse::parse(&bytes[..cut]);
        assert!(
            shorter == answer || shorter == Err(Outcome::Truncated),
            "cut after {cut}: {shorter:?}"
        );
    }
}

/// What users of a packet rely on.
fn check(packet: &Packet) {
    assert!([family::ARP, family::IPV4, family::IPV6].contains(&packet.family));
    assert!(packet.fragment != fragment::LATER || packet.source_port == 0);
    assert!(packet.fragment != fragment::NONE || packet.fragment_id == 0);
    assert!(packet.quoted_at == 0 || [protocol::ICMP, protocol::ICMPV6].contains(&packet.protocol));
    assert!(packet.inner_at == 0 || packet.protocol == protocol::UDP);
    // The kernel's packet pointers stand offsets up to here.
    assert!(packet.header_len.max(packet.quoted_at).max(packet.inner_at) < 1 << 16);
}

/// A frame anywhere in a packet (the first two bytes say where) reads as it does alone.
pub fn inner(bytes: &[u8]) {
    let Some((&offset, bytes)) = bytes.split_first_chunk() else { return };
    let at = u32::from(u16::from_le_bytes(offset)) % 512;
    let further_back = |offset: u32| if offset == 0 { 0 } else { offset + at };
    let alone = parse::parse(bytes.get(at as usize..).unwrap_or_default());
    let expected = alone.map(|packet| Packet {
        header_len: packet.header_len + at,
        end: packet.end + at,
        quoted_at: further_back(packet.quoted_at),
        inner_at: further_back(packet.inner_at),
        ..packet
    });
    assert_eq!(parse::parse_at(bytes, at), expected);
}

/// A quotation of either family (the first byte says of which): nothing behind what is promised is read.
pub fn quoted(bytes: &[u8]) {
    let Some((&first, bytes)) = bytes.split_first() else { return };
    let family = if first & 1 == 0 { family::IPV4 } else { family::IPV6 };
    let Ok(packet) = parse::quoted(bytes, 0, family) else { return };
    check(&packet);
    if let Some(read) = bytes.get(..packet.header_len as usize) {
        assert_eq!(parse::quoted(read, 0, family), Ok(packet));
    }
}

/// A flow entry that had to give way: bytes of the right length are one, and no others.
pub fn evicted(bytes: &[u8]) {
    const SIZE: usize = size_of::<EvictedFlow>();
    assert_eq!(record::evicted(bytes).is_some(), bytes.len() == SIZE);
    assert!(record::evicted(&fit::<SIZE>(bytes)).is_some());
}

/// A sampled packet, which may itself be anything.
pub fn sample(bytes: &[u8]) {
    let hook = offset_of!(Sample, hook);
    let is_known = bytes.len() >= size_of::<Sample>() && number(&bytes[hook..hook + 4]) <= 1;
    assert_eq!(record::sample(bytes).is_some(), is_known);
    if let Some((_, packet)) = record::sample(bytes) {
        assert_eq!(packet.len() + size_of::<Sample>(), bytes.len());
        let _ = parse::parse(packet);
    }
}

/// A DNS message; what is in it is for others to read.
pub fn message(bytes: &[u8]) {
    let hook = offset_of!(Message, hook);
    let is_known = bytes.len() >= size_of::<Message>() && number(&bytes[hook..hook + 2]) <= 1;
    assert_eq!(record::message(bytes).is_some(), is_known);
    if let Some((_, payload)) = record::message(bytes) {
        assert_eq!(payload.len() + size_of::<Message>(), bytes.len());
    }
}

/// Bytes of a number as they stand in memory, little end first.
fn number(bytes: &[u8]) -> u64 {
    let mut number = [0; 8];
    number[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(number)
}

/// Bytes of this length. So layouts may change, and a corpus is still one.
fn fit<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut fitted = [0; N];
    let length = bytes.len().min(N);
    fitted[..length].copy_from_slice(&bytes[..length]);
    fitted
}
