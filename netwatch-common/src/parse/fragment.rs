//! Which part of a fragmented IP packet a packet is (RFC 791, section 3.2; RFC 8200, section 4.5).

/// Not fragmented. So is an "atomic" fragment of IPv6 (RFC 6946): the first and the last at once.
pub const NONE: u8 = 0;
/// The first of several: it carries the transport header.
pub const FIRST: u8 = 1;
/// Another one: data from somewhere behind the transport header.
pub const LATER: u8 = 2;

/// By its distance from the first byte, in any unit, and whether more of them follow.
#[inline(always)]
pub(super) const fn part(offset: u16, more: bool) -> u8 {
    if offset != 0 {
        LATER
    } else if more {
        FIRST
    } else {
        NONE
    }
}
