//! ICMP (RFC 792). The identifier of an echo takes the place of both ports, so that request and reply are one flow.

use super::{Header, Packet, Reader};
use crate::outcome::Outcome;

/// Echo reply.
pub const ECHO_REPLY: u8 = 0;
/// Echo request.
pub const ECHO_REQUEST: u8 = 8;

const DESTINATION_UNREACHABLE: u8 = 3;
const SOURCE_QUENCH: u8 = 4;
const REDIRECT: u8 = 5;
const TIME_EXCEEDED: u8 = 11;
const PARAMETER_PROBLEM: u8 = 12;

/// Length of the header, of ICMP and of ICMPv6.
pub(super) const HEADER: u32 = 8;

/// Fills in type, code and echo or quotation; answers with the length of the header.
#[inline(always)]
pub(super) fn parse<R: Reader + ?Sized>(
    reader: &R,
    offset: u32,
    packet: &mut Packet,
) -> Result<u32, Outcome> {
    message(reader.header::<8>(offset).ok_or(Outcome::Truncated)?, packet);
    if matches!(
        packet.icmp_type,
        DESTINATION_UNREACHABLE | SOURCE_QUENCH | REDIRECT | TIME_EXCEEDED | PARAMETER_PROBLEM
    ) {
        packet.quoted_at = offset + HEADER;
    }
    Ok(HEADER)
}

/// What the first eight bytes say.
#[inline(always)]
pub(super) fn message<H: Header>(header: H, packet: &mut Packet) {
    let kind = header.u8(0);
    echo(header, kind == ECHO_REQUEST || kind == ECHO_REPLY, packet);
}

/// The same for ICMP and ICMPv6, which number their messages differently.
#[inline(always)]
pub(super) fn echo<H: Header>(header: H, is_echo: bool, packet: &mut Packet) {
    packet.icmp_type = header.u8(0);
    packet.icmp_code = header.u8(1);
    if is_echo {
        let identifier = header.u16(4);
        packet.source_port = identifier;
        packet.destination_port = identifier;
        packet.echo_sequence = header.u16(6);
    }
}
