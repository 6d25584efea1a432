//! Geneve (RFC 8926, section 3): Ethernet frames in UDP, behind options that are passed over.

use super::{Header, Reader};
use crate::outcome::Outcome;

/// The assigned port.
pub(super) const PORT: u16 = 6081;

const HEADER: u32 = 8;
/// Version and length of the options in words of four bytes share a byte; the only version is 0.
const VERSION: u8 = 0xc0;
/// The protocol type of an Ethernet frame ("transparent Ethernet bridging").
const ETHERNET: u16 = 0x6558;

/// Answers with the offset of the inner frame, or 0: anybody may send anything else to this port.
#[inline(always)]
pub(super) fn parse<R: Reader + ?Sized>(reader: &R, offset: u32, end: u32) -> Result<u32, Outcome> {
    if end < offset + HEADER {
        return Ok(0);
    }
    let header = reader.header::<8>(offset).ok_or(Outcome::Truncated)?;
    let first = header.u8(0);
    if first & VERSION != 0 || header.u16(2) != ETHERNET {
        return Ok(0);
    }
    Ok(offset + HEADER + u32::from(first) * 4)
}
