//! ARP (RFC 826) for IPv4 over Ethernet.

use super::Reader;
use crate::outcome::Outcome;

/// ARP is accounted for by its outcome, never as a flow.
#[inline(always)]
pub(super) fn parse<R: Reader + ?Sized>(reader: &R, offset: u32) -> Outcome {
    match reader.header::<28>(offset) {
        Some(_) => Outcome::Arp,
        None => Outcome::Truncated,
    }
}
