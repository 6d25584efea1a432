//! Ethernet II (IEEE 802.3, clause 3.2), with what may stand between the addresses and the type: VLAN tags, LLC.

use super::{Header, Reader, llc, vlan};
use crate::outcome::Outcome;

/// Ethernet type of IPv4.
pub(super) const IPV4: u16 = 0x0800;
/// Ethernet type of ARP.
pub(super) const ARP: u16 = 0x0806;
/// Ethernet type of IPv6.
pub(super) const IPV6: u16 = 0x86dd;
/// Up to here the field is a length, above it a type (IEEE 802.3, clause 3.2.6).
pub(super) const MAX_LENGTH: u16 = 0x05ff;

/// Length of the header without tags.
pub(super) const HEADER: u32 = 14;

/// What an Ethernet header says.
pub(super) struct Frame {
    pub(super) source_mac: [u8; 6],
    /// Where the next header begins.
    pub(super) next: u32,
    pub(super) ether_type: u16,
}

/// Reads the header at `start` and goes on to the type behind tags and SNAP.
#[inline(always)]
pub(super) fn parse<R: Reader + ?Sized>(reader: &R, start: u32) -> Result<Frame, Outcome> {
    let header = reader.header::<14>(start).ok_or(Outcome::Truncated)?;
    let source_mac = header.mac(6);
    let (mut next, mut ether_type) = (start + HEADER, header.u16(12));
    if vlan::is_tag(ether_type) {
        (next, ether_type) = vlan::parse(reader, next)?;
    }
    if ether_type <= MAX_LENGTH {
        (next, ether_type) = llc::parse(reader, next)?;
    }
    Ok(Frame { source_mac, next, ether_type })
}
