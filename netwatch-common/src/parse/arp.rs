//! ARP (RFC 826) for IPv4 over Ethernet: who asks for whom, and who answers.

use super::{Header, Packet, Reader};
use crate::{
    flow::{Address, family},
    outcome::Outcome,
};

/// Asks for the Ethernet address of the destination. A gratuitous one has the sender as its destination, a probe
/// (RFC 5227, section 1.1) has no sender: 0.0.0.0.
pub const REQUEST: u8 = 1;
/// Tells the destination the Ethernet address of the source.
pub const REPLY: u8 = 2;

const LENGTH: u32 = 28;
const ETHERNET: u16 = 1;
const IPV4: u16 = 0x0800;
/// An Ethernet address has six bytes, one of IPv4 four.
const LENGTHS: u16 = 0x0604;

/// Fills in protocol addresses and operation; answers with where the packet ends.
#[inline(always)]
pub(super) fn parse<R: Reader + ?Sized>(
    reader: &R,
    offset: u32,
    packet: &mut Packet,
) -> Result<u32, Outcome> {
    let header = reader.header::<8>(offset).ok_or(Outcome::Truncated)?;
    let is_known = header.u16(0) == ETHERNET && header.u16(2) == IPV4 && header.u16(4) == LENGTHS;
    let operation = match header.u16(6) {
        1 if is_known => REQUEST,
        2 if is_known => REPLY,
        _ => return Err(Outcome::Arp),
    };
    let header = reader.header::<28>(offset).ok_or(Outcome::Truncated)?;
    packet.family = family::ARP;
    packet.icmp_type = operation;
    packet.source = Address::from_v4_word(header.word(14));
    packet.destination = Address::from_v4_word(header.word(24));
    packet.end = offset + LENGTH;
    Ok(packet.end)
}
