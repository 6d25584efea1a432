//! IPv6 and its extension headers (RFC 8200, sections 3 and 4).

use super::{Header, Packet, Reader, authentication, fragment};
use crate::{
    flow::{Address, family},
    outcome::Outcome,
};

/// Extension headers that are followed. RFC 8200 recommends each at most once (destination options twice), in the
/// order of its section 4.1: six in all.
const MAX_EXTENSIONS: u32 = 6;

/// Length of the header without extensions.
pub(super) const HEADER: u32 = 40;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = authentication::PROTOCOL;
const DESTINATION_OPTIONS: u8 = 60;
const FRAGMENT_OFFSET: u16 = 0xfff8;
const MORE_FRAGMENTS: u16 = 1;

/// Fills in addresses and protocol of a packet without extension headers; answers with the offset of the transport
/// header, or `None` for any other packet.
#[inline(always)]
pub(super) fn plain<R: Reader + ?Sized>(
    reader: &R,
    offset: u32,
    packet: &mut Packet,
) -> Option<u32> {
    let header = reader.header::<40>(offset)?;
    fill_in(header, offset, packet);
    let is_plain = header.u8(0) >> 4 == 6 && !is_extension(packet.protocol);
    is_plain.then_some(offset + HEADER)
}

/// Fills in addresses, protocol and fragment; answers with the offset of the transport header.
#[inline(always)]
pub(super) fn parse<R: Reader + ?Sized>(
    reader: &R,
    offset: u32,
    packet: &mut Packet,
) -> Result<u32, Outcome> {
    let header = reader.header::<40>(offset).ok_or(Outcome::Truncated)?;
    if header.u8(0) >> 4 != 6 {
        return Err(Outcome::BadIpv6Header);
    }
    fill_in(header, offset, packet);
    let mut next = offset + HEADER;
    let mut followed = 0;
    while is_extension(packet.protocol) && packet.fragment != fragment::LATER {
        if followed == MAX_EXTENSIONS {
            return Err(Outcome::Ipv6ExtensionLimit);
        }
        followed += 1;
        next += extension(reader.header::<8>(next).ok_or(Outcome::Truncated)?, packet);
    }
    Ok(next)
}

#[inline(always)]
fn fill_in<H: Header>(header: H, offset: u32, packet: &mut Packet) {
    packet.family = family::IPV6;
    packet.traffic_class = header.u8(0) << 4 | header.u8(1) >> 4;
    packet.end = offset + HEADER + u32::from(header.u16(4));
    packet.protocol = header.u8(6);
    packet.ttl = header.u8(7);
    packet.source = address(header, 8);
    packet.destination = address(header, 24);
}

#[inline(always)]
fn address<H: Header>(header: H, at: usize) -> Address {
    Address([header.double(at), header.double(at + 8)])
}

#[inline(always)]
fn is_extension(protocol: u8) -> bool {
    matches!(protocol, HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS)
}

/// Fills in what the extension header of kind `packet.protocol` says, and the protocol behind it; answers with its length.
#[inline(always)]
fn extension<H: Header>(header: H, packet: &mut Packet) -> u32 {
    let kind = core::mem::replace(&mut packet.protocol, header.u8(0));
    match kind {
        FRAGMENT => {
            let place = header.u16(2);
            packet.fragment = fragment::part(place & FRAGMENT_OFFSET, place & MORE_FRAGMENTS != 0);
            if packet.fragment != fragment::NONE {
                packet.fragment_id = u32::from_be(header.word(4));
            }
            8
        }
        AUTHENTICATION => authentication::parse(header).1,
        _ => (u32::from(header.u8(1)) + 1) * 8,
    }
}
