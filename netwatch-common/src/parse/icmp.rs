//! ICMP (RFC 792). The identifier of an echo takes the place of both ports, so that request and reply are one flow.

use super::{Header, Packet, Reader};
use crate::outcome::Outcome;

/// Echo reply.
pub const ECHO_REPLY: u8 = 0;
/// Echo request.
pub const ECHO_REQUEST: u8 = 8;

/// Fills in type and echo identifier; answers with the length of the header.
#[inline(always)]
pub(super) fn parse<R: Reader + ?Sized>(
    reader: &R,
    offset: u32,
    packet: &mut Packet,
) -> Result<u32, Outcome> {
    parse_echo(reader, offset, packet, ECHO_REQUEST, ECHO_REPLY)
}

/// ICMP and ICMPv6 differ in the numbers of their types only.
#[inline(always)]
pub(super) fn parse_echo<R: Reader + ?Sized>(
    reader: &R,
    offset: u32,
    packet: &mut Packet,
    request: u8,
    reply: u8,
) -> Result<u32, Outcome> {
    let header = reader.header::<8>(offset).ok_or(Outcome::Truncated)?;
    packet.icmp_type = header.u8(0);
    if packet.icmp_type == request || packet.icmp_type == reply {
        let identifier = header.u16(4);
        packet.source_port = identifier;
        packet.destination_port = identifier;
        packet.echo_sequence = header.u16(6);
    }
    Ok(8)
}
