//! Container networks, as an engine describes them.

use std::net::IpAddr;

/// A network of the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// The engine's identifier.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `bridge`, `macvlan`, `overlay`, `host` …
    pub driver: String,
    /// The bridge device on this host, for the driver `bridge`.
    pub bridge: Option<String>,
    /// Its subnets with the length of the prefix.
    pub subnets: Vec<(IpAddr, u8)>,
    /// Its gateways: for a bridge, addresses of this host.
    pub gateways: Vec<IpAddr>,
}
