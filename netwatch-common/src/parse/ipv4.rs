//! IPv4 with options (RFC 791, section 3.1).

use super::{Header, Packet, Reader};
use crate::{
    flow::{Address, family},
    outcome::Outcome,
};

const FRAGMENT_OFFSET: u16 = 0x1fff;

/// Fills in addresses and protocol; `header_len` is the offset of the transport header.
#[inline(always)]
pub(super) fn parse<R: Reader + ?Sized>(reader: &R, offset: u32) -> Result<Packet, Outcome> {
    let mut packet = Packet::default();
    let header = reader.header::<20>(offset).ok_or(Outcome::Truncated)?;
    let version_and_length = header.u8(0);
    let words = version_and_length & 0xf;
    if version_and_length >> 4 != 4 || words < 5 {
        return Err(Outcome::BadIpv4Header);
    }
    if header.u16(6) & FRAGMENT_OFFSET != 0 {
        return Err(Outcome::LaterFragment);
    }
    packet.family = family::IPV4;
    packet.traffic_class = header.u8(1);
    packet.end = offset + u32::from(header.u16(2));
    packet.ttl = header.u8(8);
    packet.protocol = header.u8(9);
    packet.source = Address::from_v4_word(header.word(12));
    packet.destination = Address::from_v4_word(header.word(16));
    packet.header_len = offset + u32::from(words) * 4;
    Ok(packet)
}
