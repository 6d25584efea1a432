//! The packets that nearly all are, read at constant offsets: Ethernet II, IPv4 without options or IPv6 without extension
//! headers, whole, and any transport that ends there: no tunnel, no quotation. What the kernel programs try where the express way
//! ([`super::plain`]) says no. In two halves, so that what follows can be compiled for each protocol by itself.

use super::{Header, Packet, Reader, ethernet, ipv4, ipv6, transport};

/// Everything in front of the transport header, whose offset is `header_len` so far; `None` for a packet that is not
/// common.
#[inline(always)]
pub fn common<R: Reader + ?Sized>(reader: &R) -> Option<Packet> {
    let frame = reader.header::<14>(0)?;
    let mut packet = Packet::default();
    packet.header_len = match frame.u16(12) {
        ethernet::IPV4 => ipv4::plain(reader, ethernet::HEADER, &mut packet)?,
        ethernet::IPV6 => ipv6::plain(reader, ethernet::HEADER, &mut packet)?,
        _ => return None,
    };
    Some(packet)
}

/// What [`super::parse`] answers but for the Ethernet address, or `None` where only that function knows.
#[inline(always)]
pub fn common_transport<R: Reader + ?Sized>(reader: &R, mut packet: Packet) -> Option<Packet> {
    let offset = packet.header_len;
    packet.header_len += transport(reader, offset, &mut packet).ok()?;
    let is_common =
        packet.header_len <= packet.end && packet.quoted_at == 0 && packet.inner_at == 0;
    is_common.then_some(packet)
}
