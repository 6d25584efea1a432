//! IPv4 with options (RFC 791, section 3.1), fragments and an authentication header.

use super::{Header, Packet, Reader, authentication, fragment};
use crate::{
    flow::{Address, family},
    outcome::Outcome,
};

const FRAGMENT_OFFSET: u16 = 0x1fff;
const MORE_FRAGMENTS: u16 = 0x2000;

/// Version 4 and a header of 20 bytes.
const PLAIN: u8 = 0x45;

/// Fills in addresses and protocol of a packet without options that is no fragment; answers with the offset of the
/// transport header, or `None` for any other packet.
#[inline(always)]
pub(super) fn plain<R: Reader + ?Sized>(
    reader: &R,
    offset: u32,
    packet: &mut Packet,
) -> Option<u32> {
    let header = reader.header::<20>(offset)?;
    fill_in(header, offset, packet);
    let is_plain = header.u8(0) == PLAIN
        && header.u16(6) & (FRAGMENT_OFFSET | MORE_FRAGMENTS) == 0
        && packet.protocol != authentication::PROTOCOL;
    is_plain.then_some(offset + 20)
}

/// Fills in addresses, protocol and fragment; answers with the offset of the transport header.
#[inline(always)]
pub(super) fn parse<R: Reader + ?Sized>(
    reader: &R,
    offset: u32,
    packet: &mut Packet,
) -> Result<u32, Outcome> {
    let header = reader.header::<20>(offset).ok_or(Outcome::Truncated)?;
    let version_and_length = header.u8(0);
    let words = version_and_length & 0xf;
    if version_and_length >> 4 != 4 || words < 5 {
        return Err(Outcome::BadIpv4Header);
    }
    fill_in(header, offset, packet);
    let next = offset + u32::from(words) * 4;
    let flags = header.u16(6);
    packet.fragment = fragment::part(flags & FRAGMENT_OFFSET, flags & MORE_FRAGMENTS != 0);
    if packet.fragment != fragment::NONE {
        packet.fragment_id = u32::from(header.u16(4));
    }
    if packet.protocol == authentication::PROTOCOL && packet.fragment != fragment::LATER {
        let header = reader.header::<8>(next).ok_or(Outcome::Truncated)?;
        let (protocol, length) = authentication::parse(header);
        packet.protocol = protocol;
        return Ok(next + length);
    }
    Ok(next)
}

#[inline(always)]
fn fill_in<H: Header>(header: H, offset: u32, packet: &mut Packet) {
    packet.family = family::IPV4;
    packet.traffic_class = header.u8(1);
    packet.end = offset + u32::from(header.u16(2));
    packet.ttl = header.u8(8);
    packet.protocol = header.u8(9);
    packet.source = Address::from_v4_word(header.word(12));
    packet.destination = Address::from_v4_word(header.word(16));
}
