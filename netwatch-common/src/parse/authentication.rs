//! The IP authentication header (RFC 4302, section 2), which IPv4 and IPv6 packets are read through.

use super::Header;

/// Its protocol number.
pub(super) const PROTOCOL: u8 = 51;

/// The next protocol and the length of the header, of which the first eight bytes have been read.
#[inline(always)]
pub(super) fn parse<H: Header>(header: H) -> (u8, u32) {
    // In words of four bytes, minus two.
    (header.u8(0), (u32::from(header.u8(1)) + 2) * 4)
}
