//! LLC (IEEE 802.2, clause 3) with SNAP (IEEE 802, clause 9): how an IEEE 802.3 frame can carry an Ethernet type (RFC 1042).

use super::{Header, Reader};
use crate::outcome::Outcome;

/// Both access points of SNAP, and the control field of an unnumbered frame.
const SNAP: [u8; 3] = [0xaa, 0xaa, 0x03];
const HEADERS: u32 = 8;

/// Answers with the offset of the next header and its type, for SNAP with an Ethernet type: organisation code 0.
#[inline(always)]
pub(super) fn parse<R: Reader + ?Sized>(reader: &R, offset: u32) -> Result<(u32, u16), Outcome> {
    let llc = reader.header::<3>(offset).ok_or(Outcome::Truncated)?;
    if [llc.u8(0), llc.u8(1), llc.u8(2)] != SNAP {
        return Err(Outcome::Llc);
    }
    let snap = reader.header::<8>(offset).ok_or(Outcome::Truncated)?;
    if snap.u8(3) != 0 || snap.u16(4) != 0 {
        return Err(Outcome::Llc);
    }
    Ok((offset + HEADERS, snap.u16(6)))
}
