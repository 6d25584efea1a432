//! ICMPv6 (RFC 4443).

use super::{Packet, Reader, icmp};
use crate::outcome::Outcome;

/// Echo request.
pub const ECHO_REQUEST: u8 = 128;
/// Echo reply.
pub const ECHO_REPLY: u8 = 129;

/// Fills in type and echo identifier; answers with the length of the header.
#[inline(always)]
pub(super) fn parse<R: Reader + ?Sized>(
    reader: &R,
    offset: u32,
    packet: &mut Packet,
) -> Result<u32, Outcome> {
    icmp::parse_echo(reader, offset, packet, ECHO_REQUEST, ECHO_REPLY)
}
