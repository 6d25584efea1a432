//! What the user does not want to see in flows.

use ipnet::IpNet;

use super::Protocol;

/// Packets that are counted at their interface and nowhere else. Either end counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exclusion {
    /// Networks that an end is in.
    pub networks: Vec<IpNet>,
    /// Ports of an end; those of every protocol that has ports where none is named.
    pub ports: Vec<(Option<Protocol>, u16)>,
    /// Protocols over IP.
    pub protocols: Vec<Protocol>,
}
