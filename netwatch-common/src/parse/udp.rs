//! UDP (RFC 768).

use super::{Packet, Reader};
use crate::outcome::Outcome;

/// Fills in the ports; answers with the length of the header.
#[inline(always)]
pub(super) fn parse<R: Reader + ?Sized>(
    reader: &R,
    offset: u32,
    packet: &mut Packet,
) -> Result<u32, Outcome> {
    let header = reader.header::<8>(offset).ok_or(Outcome::Truncated)?;
    super::ports(header, packet);
    Ok(8)
}
