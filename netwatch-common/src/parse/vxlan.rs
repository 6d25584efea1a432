//! VXLAN (RFC 7348, section 5): Ethernet frames in UDP.

use super::{Header, Reader};
use crate::outcome::Outcome;

/// The assigned port.
pub(super) const PORT: u16 = 4789;
/// The port of Linux before the assignment, still its default (drivers/net/vxlan/vxlan_core.c, `vxlan_port`).
pub(super) const OLD_PORT: u16 = 8472;

const HEADER: u32 = 8;
/// The flag without which there is no network identifier.
const VALID: u8 = 0x08;

/// Answers with the offset of the inner frame, or 0: anybody may send anything else to this port.
#[inline(always)]
pub(super) fn parse<R: Reader + ?Sized>(reader: &R, offset: u32, end: u32) -> Result<u32, Outcome> {
    if end < offset + HEADER {
        return Ok(0);
    }
    let header = reader.header::<8>(offset).ok_or(Outcome::Truncated)?;
    Ok(if header.u8(0) & VALID != 0 { offset + HEADER } else { 0 })
}
