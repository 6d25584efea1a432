//! VLAN tags (IEEE 802.1Q, clause 9.3) in the bytes of a packet. A tag that the kernel keeps beside the packet is not here.

use super::{Header, Reader};
use crate::outcome::Outcome;

const CUSTOMER_TAG: u16 = 0x8100;
const SERVICE_TAG: u16 = 0x88a8;
const TAG: u32 = 4;

/// Whether an Ethernet type announces a tag.
#[inline(always)]
pub(super) fn is_tag(ether_type: u16) -> bool {
    ether_type == CUSTOMER_TAG || ether_type == SERVICE_TAG
}

/// Passes one tag, or two (QinQ), whose first type has been read. Answers with the offset of the next header and its type.
#[inline(always)]
pub(super) fn parse<R: Reader + ?Sized>(reader: &R, offset: u32) -> Result<(u32, u16), Outcome> {
    let ether_type = reader.header::<4>(offset).ok_or(Outcome::Truncated)?.u16(2);
    if !is_tag(ether_type) {
        return Ok((offset + TAG, ether_type));
    }
    let ether_type = reader.header::<4>(offset + TAG).ok_or(Outcome::Truncated)?.u16(2);
    Ok((offset + 2 * TAG, ether_type))
}
