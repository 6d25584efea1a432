//! Ethernet II (IEEE 802.3, clause 3.2).

use super::{Header, Reader};
use crate::outcome::Outcome;

/// Ethernet type of IPv4.
pub(super) const IPV4: u16 = 0x0800;
/// Ethernet type of ARP.
pub(super) const ARP: u16 = 0x0806;
/// Ethernet type of IPv6.
pub(super) const IPV6: u16 = 0x86dd;
/// Up to here the field is a length, above it a type (IEEE 802.3, clause 3.2.6).
pub(super) const MAX_LENGTH: u16 = 0x05ff;

const HEADER: u32 = 14;

/// Answers with the offset of the next header and the Ethernet type (or length).
#[inline(always)]
pub(super) fn parse<R: Reader + ?Sized>(reader: &R) -> Result<(u32, u16), Outcome> {
    let header = reader.header::<14>(0).ok_or(Outcome::Truncated)?;
    Ok((HEADER, header.u16(12)))
}
