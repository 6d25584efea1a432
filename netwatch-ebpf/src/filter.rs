//! What the user has excluded.
//!
//! [`FILTERS`] is a constant to the verifier, which removes the code of the filters that are not asked for: without any,
//! [`admit`] is nothing at all. Ports and protocols are bits in a plain array, looked up without a call; only networks
//! cost two calls a packet.

use netwatch_common::{
    filter::{NETWORKS, NetworkKey, PORTS, PROTOCOLS, port_bit, protocol_bit},
    flow::Address,
    outcome::Outcome,
    parse::{Headers, Packet},
};

use aya_ebpf::btf_maps::lpm_trie::Key;

use crate::maps::{EXCLUDED, EXCLUDED_NETWORKS, FILTERS};

/// Whether there are filters.
#[inline(always)]
pub fn any() -> bool {
    FILTERS.load() != 0
}

/// Whether there are filters that need calls.
#[inline(always)]
pub fn by_network() -> bool {
    FILTERS.load() & NETWORKS != 0
}

/// Refuses a packet of which either end is excluded. What calls nothing comes first.
#[inline(always)]
pub fn admit(packet: &Packet) -> Result<(), Outcome> {
    let is_refused = is_excluded(packet)
        || by_network()
            && (is_within(packet.family, packet.source)
                || is_within(packet.family, packet.destination));
    if is_refused { Err(Outcome::Filtered) } else { Ok(()) }
}

/// Whether the protocol of a packet is excluded, or one of its ports.
#[inline(always)]
pub fn is_excluded(packet: &impl Headers) -> bool {
    let filters = FILTERS.load();
    if filters & PROTOCOLS != 0 && is_set(protocol_bit(packet.protocol())) {
        return true;
    }
    if filters & PORTS != 0 {
        for port in [packet.source_port(), packet.destination_port()] {
            if port_bit(packet.protocol(), port).is_some_and(is_set) {
                return true;
            }
        }
    }
    false
}

#[inline(always)]
fn is_set(bit: u32) -> bool {
    EXCLUDED.get(bit / 64).is_some_and(|word| word >> (bit % 64) & 1 != 0)
}

#[inline(always)]
fn is_within(family: u8, address: Address) -> bool {
    let key = Key::new(NetworkKey::BITS, NetworkKey { family: u64::from(family), address });
    EXCLUDED_NETWORKS.get(&key).is_some()
}
