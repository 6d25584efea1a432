//! The packets that nearly all are, read at constant offsets: Ethernet II, IPv4 without options or IPv6 without extension
//! headers, whole, and any transport. What the kernel programs try first, because it costs the least.

use super::{Header, Packet, Reader, ethernet, ipv4, ipv6, transport};

/// What [`super::parse`] answers, or `None` where only that function knows.
#[inline(always)]
pub fn common<R: Reader + ?Sized>(reader: &R) -> Option<Packet> {
    let frame = reader.header::<14>(0)?;
    let mut packet = Packet { source_mac: frame.mac(6), ..Packet::default() };
    let offset = match frame.u16(12) {
        ethernet::IPV4 => ipv4::plain(reader, ethernet::HEADER, &mut packet)?,
        ethernet::IPV6 => ipv6::plain(reader, ethernet::HEADER, &mut packet)?,
        _ => return None,
    };
    packet.header_len = offset + transport(reader, offset, &mut packet).ok()?;
    (packet.header_len <= packet.end).then_some(packet)
}
