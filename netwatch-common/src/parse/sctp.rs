//! SCTP (RFC 9260, section 3.1).

use super::{Packet, Reader};
use crate::outcome::Outcome;

const HEADER: u32 = 12;

/// Fills in the ports; answers with the length of the common header.
#[inline(always)]
pub(super) fn parse<R: Reader + ?Sized>(
    reader: &R,
    offset: u32,
    packet: &mut Packet,
) -> Result<u32, Outcome> {
    let header = reader.header::<12>(offset).ok_or(Outcome::Truncated)?;
    super::ports(header, packet);
    Ok(HEADER)
}
