//! Flows of networks that are excluded, which an earlier agent that excluded others has left in the table. The programs ask for no
//! network of a flow that they know (`netwatch-ebpf/src/express.rs`), so these have to go.

use ipnet::IpNet;
use netwatch_common::flow::{FlowKey, family};

use super::abi;

/// The networks, as long as there may be such flows.
pub(super) struct Unwanted(Vec<IpNet>);

impl Unwanted {
    /// Of a table that is new there are none.
    pub(super) fn left(networks: &[IpNet], is_inherited: bool) -> Self {
        Self(if is_inherited { networks.to_vec() } else { Vec::new() })
    }

    /// Whether there may be some.
    pub(super) fn may_be(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether this is one. ARP is in no network, and what is inside of a tunnel is excluded by nobody.
    pub(super) fn is(&self, key: &FlowKey) -> bool {
        let ends = [abi::local(key).address, abi::remote(key).address];
        let is_of_family = |network: &&IpNet| match network {
            IpNet::V4(_) => key.family == family::IPV4,
            IpNet::V6(_) => key.family == family::IPV6,
        };
        let mut networks = self.0.iter().filter(is_of_family);
        networks.any(|network| ends.iter().any(|end| network.contains(end)))
    }

    /// There are no more.
    pub(super) fn are_gone(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use netwatch_common::flow::Address;

    use super::*;

    fn key(local: [u8; 4], remote: [u8; 4]) -> FlowKey {
        let words =
            |of| FlowKey::words(Address::from_v4_word(u32::from_ne_bytes(of)), family::IPV4);
        let (local, remote) = (words(local), words(remote));
        FlowKey { local, remote, family: family::IPV4, ..FlowKey::default() }
    }

    #[test]
    fn either_end_counts_and_only_of_the_family() {
        let networks: Vec<IpNet> =
            ["10.0.0.0/8", "2001:db8::/32"].map(|network| network.parse().unwrap()).into();
        let mut unwanted = Unwanted::left(&networks, true);
        let (inside, outside) = ([10, 1, 2, 3], [192, 0, 2, 1]);
        assert!(unwanted.is(&key(inside, outside)) && unwanted.is(&key(outside, inside)));
        assert!(!unwanted.is(&key(outside, outside)));
        for family in [family::IPV4 | family::INNER, family::ARP, family::IPV6] {
            assert!(!unwanted.is(&FlowKey { family, ..key(inside, inside) }));
        }
        unwanted.are_gone();
        assert!(!unwanted.may_be() && !Unwanted::left(&networks, false).may_be());
    }
}
