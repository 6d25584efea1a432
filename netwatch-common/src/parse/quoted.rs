//! The packet that an ICMP error message quotes, of which only the first eight bytes behind the IP header are sure to be
//! there (RFC 792; RFC 4443, section 3, promises more).

use super::{Header, Packet, Reader, fragment, icmp, icmpv6, ipv4, ipv6, protocol};
use crate::{flow::family, outcome::Outcome};

const PROMISED: u32 = 8;

/// Parses the IP packet at [`Packet::quoted_at`] of a message of this `family`, and never reads more of its transport
/// header than is promised: ports of TCP, UDP, UDP-Lite and SCTP, the sequence number of TCP, type and identifier of
/// ICMP. The quotation goes the way that the packet went: its sender is the receiver of the message.
///
/// `end` is where the packet ended before it was cut off, `header_len` where the quotation has been read to.
#[inline(always)]
pub fn quoted<R: Reader + ?Sized>(reader: &R, offset: u32, family: u8) -> Result<Packet, Outcome> {
    let mut packet = Packet::default();
    fill_in_quoted(reader, offset, family, &mut packet)?;
    Ok(packet)
}

/// [`quoted`] into a default `packet` that is in memory already, as [`super::fill_in`].
#[inline(always)]
pub fn fill_in_quoted<R: Reader + ?Sized>(
    reader: &R,
    offset: u32,
    family: u8,
    packet: &mut Packet,
) -> Result<(), Outcome> {
    let next = if family == family::IPV6 {
        ipv6::parse(reader, offset, packet)?
    } else {
        ipv4::parse(reader, offset, packet)?
    };
    packet.header_len = next + transport(reader, next, packet)?;
    Ok(())
}

/// What is promised of the transport header; answers with how much that is.
#[inline(always)]
fn transport<R: Reader + ?Sized>(
    reader: &R,
    offset: u32,
    packet: &mut Packet,
) -> Result<u32, Outcome> {
    let is_icmp = packet.protocol == protocol::ICMP && packet.family == family::IPV4;
    let is_icmpv6 = packet.protocol == protocol::ICMPV6 && packet.family == family::IPV6;
    let has_ports = matches!(
        packet.protocol,
        protocol::TCP | protocol::UDP | protocol::UDP_LITE | protocol::SCTP
    );
    if packet.fragment == fragment::LATER || !(is_icmp || is_icmpv6 || has_ports) {
        return Ok(0);
    }
    let header = reader.header::<8>(offset).ok_or(Outcome::Truncated)?;
    if is_icmp {
        icmp::message(header, packet);
    } else if is_icmpv6 {
        icmpv6::message(header, packet);
    } else {
        super::ports(header, packet);
    }
    if packet.protocol == protocol::TCP {
        packet.tcp_sequence = header.word(4);
    }
    Ok(PROMISED)
}
