//! ICMPv6 (RFC 4443), and the redirect of neighbour discovery (RFC 4861, section 4.5).

use super::{Header, Packet, Reader, icmp};
use crate::outcome::Outcome;

/// Echo request.
pub const ECHO_REQUEST: u8 = 128;
/// Echo reply.
pub const ECHO_REPLY: u8 = 129;

const DESTINATION_UNREACHABLE: u8 = 1;
const PARAMETER_PROBLEM: u8 = 4;
const REDIRECT: u8 = 137;

/// A redirect names two addresses before its options.
const REDIRECT_LENGTH: u32 = 40;
/// The option with the packet that is redirected, and the length of what stands in front of that packet.
const REDIRECTED_HEADER: u8 = 4;
const OPTION_HEADER: u32 = 8;
/// The target's link-layer address, then the redirected header.
const MAX_OPTIONS: usize = 2;

/// Fills in type, code and echo or quotation; answers with the length of the header.
#[inline(always)]
pub(super) fn parse<R: Reader + ?Sized>(
    reader: &R,
    offset: u32,
    packet: &mut Packet,
) -> Result<u32, Outcome> {
    message(reader.header::<8>(offset).ok_or(Outcome::Truncated)?, packet);
    match packet.icmp_type {
        DESTINATION_UNREACHABLE..=PARAMETER_PROBLEM => packet.quoted_at = offset + icmp::HEADER,
        REDIRECT => packet.quoted_at = redirected(reader, offset + REDIRECT_LENGTH, packet.end)?,
        _ => {}
    }
    Ok(icmp::HEADER)
}

/// What the first eight bytes say.
#[inline(always)]
pub(super) fn message<H: Header>(header: H, packet: &mut Packet) {
    let kind = header.u8(0);
    icmp::echo(header, kind == ECHO_REQUEST || kind == ECHO_REPLY, packet);
}

/// Looks for the redirected packet among the options that begin at `offset`; 0 = there is none.
#[inline(always)]
fn redirected<R: Reader + ?Sized>(reader: &R, mut offset: u32, end: u32) -> Result<u32, Outcome> {
    for _ in 0..MAX_OPTIONS {
        if end < offset + OPTION_HEADER {
            return Ok(0);
        }
        let option = reader.header::<8>(offset).ok_or(Outcome::Truncated)?;
        if option.u8(0) == REDIRECTED_HEADER {
            return Ok(offset + OPTION_HEADER);
        }
        // In units of eight bytes (RFC 4861, section 4.6).
        offset += u32::from(option.u8(1)) * 8;
    }
    Ok(0)
}
