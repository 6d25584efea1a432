//! The kernel filter: writes what the user has excluded to where the programs look it up.

use std::net::IpAddr;

use aya::{
    Ebpf,
    maps::lpm_trie::{Key, LpmTrie},
};
use netwatch_common::filter::{
    FILTER_WORDS, NETWORKS, NetworkKey, PORTS, PROTOCOLS, WITH_PORTS, port_bit, protocol_bit,
};

use super::{DatapathError, shared::SharedArray};
use crate::model::Exclusion;

const NETWORKS_MAP: &str = "EXCLUDED_NETWORKS";

/// The word that tells the programs, before they are loaded, which filters there are.
pub(super) fn filters(exclusion: &Exclusion) -> u32 {
    let bit = |some: bool, bit| if some { bit } else { 0 };
    bit(!exclusion.protocols.is_empty(), PROTOCOLS)
        | bit(!exclusion.ports.is_empty(), PORTS)
        | bit(!exclusion.networks.is_empty(), NETWORKS)
}

/// Fills the tables. The programs must not be attached yet.
pub(super) fn fill(
    exclusion: &Exclusion,
    table: &SharedArray<u64>,
    ebpf: &mut Ebpf,
) -> Result<(), DatapathError> {
    for (index, word) in (0..).zip(words(exclusion)) {
        if word != 0 {
            table.write(index, word);
        }
    }
    if exclusion.networks.is_empty() {
        return Ok(());
    }
    let map = ebpf
        .map_mut(NETWORKS_MAP)
        .ok_or_else(|| DatapathError::Incomplete { what: format!("map {NETWORKS_MAP}") })?;
    let fail = |source| DatapathError::Map { map: NETWORKS_MAP, source };
    let mut networks =
        LpmTrie::<_, [u8; size_of::<NetworkKey>()], u32>::try_from(map).map_err(fail)?;
    for network in &exclusion.networks {
        let (bits, key) = key(network.addr(), network.prefix_len());
        networks.insert(&Key::new(bits, key), 1, 0).map_err(fail)?;
    }
    Ok(())
}

/// The bitmap of ports and protocols.
fn words(exclusion: &Exclusion) -> Vec<u64> {
    let mut words = vec![0; FILTER_WORDS as usize];
    let mut set = |bit: u32| words[bit as usize / 64] |= 1 << (bit % 64);
    let numbers = exclusion.protocols.iter().filter_map(|protocol| u8::try_from(protocol.0).ok());
    numbers.map(protocol_bit).for_each(&mut set);
    for (only, port) in &exclusion.ports {
        let of = |protocol: &&u8| only.is_none_or(|only| only.0 == u16::from(**protocol));
        WITH_PORTS.iter().filter(of).filter_map(|of| port_bit(*of, *port)).for_each(&mut set);
    }
    words
}

/// How many bits of a [`NetworkKey`] a network fixes, and the key in bytes.
fn key(address: IpAddr, prefix_len: u8) -> (u32, [u8; size_of::<NetworkKey>()]) {
    let (family, octets) = match address {
        IpAddr::V4(address) => (4, address.to_ipv6_mapped().octets()),
        IpAddr::V6(address) => (6, address.octets()),
    };
    let mut key = [0; size_of::<NetworkKey>()];
    key[..8].copy_from_slice(&u64::from(family).to_ne_bytes());
    key[8..].copy_from_slice(&octets);
    (NetworkKey::bits(family, prefix_len), key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Protocol;

    #[test]
    fn a_port_without_a_protocol_is_one_of_each() {
        let of = |ports| words(&Exclusion { ports, ..Exclusion::default() });
        let ones = |words: Vec<u64>| words.iter().map(|word| word.count_ones()).sum::<u32>();
        assert_eq!(ones(of(vec![(None, 53)])), 4);
        let tcp = of(vec![(Some(Protocol::TCP), 65_535), (Some(Protocol::TCP), 65_535)]);
        assert_eq!(tcp[1023], 1 << 63);
        assert_eq!(ones(tcp), 1);
        assert_eq!(ones(of(vec![(Some(Protocol::ICMP), 53)])), 0);
        let all = words(&Exclusion {
            protocols: (0..=255).map(Protocol).collect(),
            ..Exclusion::default()
        });
        assert_eq!(all[all.len() - 4..], [u64::MAX; 4]);
    }

    #[test]
    fn networks_are_keys_behind_their_family() {
        let (bits, bytes) = key("10.1.2.0".parse().unwrap(), 24);
        assert_eq!((bits, &bytes[..8]), (64 + 96 + 24, &4u64.to_ne_bytes()[..]));
        assert_eq!(bytes[18..], [0xff, 0xff, 10, 1, 2, 0]);
        assert_eq!(key("::".parse().unwrap(), 0).0, 64);
    }

    #[test]
    fn what_is_not_asked_for_is_not_looked_up() {
        assert_eq!(filters(&Exclusion::default()), 0);
        let protocols = vec![Protocol::ICMP];
        assert_eq!(filters(&Exclusion { protocols, ..Exclusion::default() }), PROTOCOLS);
    }
}
