//! IPv6 and its extension headers (RFC 8200, sections 3 and 4).

use super::{Header, Packet, Reader};
use crate::{
    flow::{Address, family},
    outcome::Outcome,
};

/// Extension headers that are followed. RFC 8200 recommends each at most once (destination options twice), in the
/// order of its section 4.1: six in all.
pub(super) const MAX_EXTENSIONS: usize = 6;

const HEADER: u32 = 40;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;
const FRAGMENT_OFFSET: u16 = 0xfff8;

/// Fills in addresses and protocol; `header_len` is the offset of the transport header.
#[inline(always)]
pub(super) fn parse<R: Reader + ?Sized>(reader: &R, offset: u32) -> Result<Packet, Outcome> {
    let mut packet = Packet::default();
    let header = reader.header::<40>(offset).ok_or(Outcome::Truncated)?;
    if header.u8(0) >> 4 != 6 {
        return Err(Outcome::BadIpv6Header);
    }
    packet.family = family::IPV6;
    packet.traffic_class = header.u8(0) << 4 | header.u8(1) >> 4;
    packet.end = offset + HEADER + u32::from(header.u16(4));
    packet.ttl = header.u8(7);
    packet.source = address(header, 8);
    packet.destination = address(header, 24);
    skip_extensions(reader, offset + HEADER, header.u8(6), &mut packet)?;
    Ok(packet)
}

#[inline(always)]
fn address<H: Header>(header: H, at: usize) -> Address {
    Address([header.double(at), header.double(at + 8)])
}

#[inline(always)]
fn skip_extensions<R: Reader + ?Sized>(
    reader: &R,
    mut offset: u32,
    mut next: u8,
    packet: &mut Packet,
) -> Result<(), Outcome> {
    for _ in 0..=MAX_EXTENSIONS {
        if !matches!(next, HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS) {
            packet.protocol = next;
            packet.header_len = offset;
            return Ok(());
        }
        let extension = reader.header::<8>(offset).ok_or(Outcome::Truncated)?;
        let length = u32::from(extension.u8(1));
        offset += match next {
            FRAGMENT if extension.u16(2) & FRAGMENT_OFFSET != 0 => {
                return Err(Outcome::LaterFragment);
            }
            FRAGMENT => 8,
            // RFC 4302, section 2.2: in words of four bytes, minus two.
            AUTHENTICATION => (length + 2) * 4,
            _ => (length + 1) * 8,
        };
        next = extension.u8(0);
    }
    Err(Outcome::Ipv6ExtensionLimit)
}
