//! Joins the later fragments of an IP packet to the flow of the first one, which alone carries the ports.
//!
//! A bounded table remembers the ports of first fragments by what all fragments of a packet share (RFC 791, section 3.2;
//! RFC 8200, section 4.5). When it is full, the one that was asked for longest ago is forgotten. A fragment that comes
//! before the first one, or after it has been forgotten, is counted as one whose first was not seen.

use netwatch_common::{
    flow::Address,
    parse::{Packet, fragment},
};

use crate::maps::FRAGMENTS;

/// What all fragments of a packet share.
#[repr(C)]
pub struct Key {
    source: Address,
    destination: Address,
    id: u32,
    // Wider than they need be: padding would be cleared by a call of memset, which the verifier refuses.
    family: u32,
}

/// What only the first one tells.
#[repr(C)]
pub struct First {
    source_port: u16,
    destination_port: u16,
    /// Of IPv6 too: the protocol that stands in a later fragment can be an extension header.
    protocol: u32,
}

/// Remembers a first fragment, or gives a later one its ports. Whether the packet's flow is known.
#[inline(always)]
pub fn join(packet: &mut Packet) -> bool {
    let key = Key {
        source: packet.source,
        destination: packet.destination,
        id: packet.fragment_id,
        family: u32::from(packet.family),
    };
    if packet.fragment == fragment::FIRST {
        let first = First {
            source_port: packet.source_port,
            destination_port: packet.destination_port,
            protocol: u32::from(packet.protocol),
        };
        // It can fail for want of memory: then the later ones say that theirs was not seen.
        let _ = FRAGMENTS.insert(&key, &first, 0);
        return true;
    }
    let Some(first) = FRAGMENTS.get_ptr(&key) else { return false };
    // SAFETY: valid until the next insertion; it may be overwritten meanwhile by another packet's, whose ports these are
    // then: no worse than an identification that is used twice.
    let first = unsafe { &*first };
    packet.source_port = first.source_port;
    packet.destination_port = first.destination_port;
    packet.protocol = first.protocol as u8;
    true
}
