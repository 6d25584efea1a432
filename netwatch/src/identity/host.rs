//! Addresses of the host itself.

use std::net::{IpAddr, Ipv4Addr};

/// An address of one of the host's interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HostAddress {
    /// ifindex of the interface.
    pub interface: u32,
    /// The address.
    pub address: IpAddr,
    /// Length of the prefix of its subnet.
    pub prefix: u8,
    /// The broadcast address, where one is set.
    pub broadcast: Option<Ipv4Addr>,
}
