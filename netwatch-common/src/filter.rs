//! What the user has excluded: bitmaps of ports and protocols, and the key of the table of networks.

use crate::{flow::Address, parse::protocol};

/// Bit of the word that says which filters there are: some protocols are excluded.
pub const PROTOCOLS: u32 = 1;
/// Some ports are excluded.
pub const PORTS: u32 = 2;
/// Some networks are excluded.
pub const NETWORKS: u32 = 4;

/// Protocols whose ports can be excluded: TCP, UDP, SCTP and UDP-Lite.
pub const WITH_PORTS: [u8; 4] = [protocol::TCP, protocol::UDP, protocol::SCTP, protocol::UDP_LITE];

const PORTS_EACH: u32 = 1 << 16;
const PORT_BITS: u32 = PORTS_EACH * 4;
const PROTOCOL_BITS: u32 = 1 << 8;

/// Words of 64 bits in the table: the ports of each protocol, then the protocols.
pub const FILTER_WORDS: u32 = (PORT_BITS + PROTOCOL_BITS) / 64;

/// The bit of a port, if it is one of a protocol that has such.
#[inline(always)]
pub const fn port_bit(protocol: u8, port: u16) -> Option<u32> {
    let index = match protocol {
        protocol::TCP => 0,
        protocol::UDP => 1,
        protocol::SCTP => 2,
        protocol::UDP_LITE => 3,
        _ => return None,
    };
    Some(index * PORTS_EACH + port as u32)
}

/// The bit of a protocol.
#[inline(always)]
pub const fn protocol_bit(protocol: u8) -> u32 {
    PORT_BITS + protocol as u32
}

/// Bits of [`NetworkKey`] before those of the address.
const FAMILY_BITS: u32 = 64;
/// Bits of the address before those of IPv4 in a mapped one.
const MAPPED_BITS: u32 = 96;

/// What is looked up in the table of networks: the address behind its family, so that `::/0` means IPv6 only though
/// both families share the table.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkKey {
    /// 4 or 6. A whole word, so that there is no padding.
    pub family: u64,
    /// The address.
    pub address: Address,
}

const _: () = assert!(size_of::<NetworkKey>() == 24 && align_of::<NetworkKey>() == 8);

impl NetworkKey {
    /// Bits of a whole key: what one looks up with.
    pub const BITS: u32 = FAMILY_BITS + 128;

    /// Bits of the key that a network with a prefix of this length fixes.
    pub const fn bits(family: u8, prefix_len: u8) -> u32 {
        FAMILY_BITS + if family == 4 { MAPPED_BITS } else { 0 } + prefix_len as u32
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn every_bit_has_its_place() {
        let mut all = std::vec::Vec::new();
        for protocol in WITH_PORTS {
            for port in 0..=u16::MAX {
                all.push(port_bit(protocol, port).unwrap());
            }
        }
        all.extend((0..=u8::MAX).map(protocol_bit));
        assert!(all.iter().copied().eq(0..FILTER_WORDS * 64));
        assert_eq!(port_bit(protocol::ICMP, 53), None);
    }

    #[test]
    fn a_whole_address_fixes_the_whole_key() {
        assert_eq!(NetworkKey::bits(4, 32), NetworkKey::BITS);
        assert_eq!(NetworkKey::bits(6, 128), NetworkKey::BITS);
        assert_eq!(NetworkKey::bits(6, 0), 64, "the family is always fixed");
        assert_eq!(NetworkKey::bits(4, 8), 64 + 96 + 8);
    }
}
