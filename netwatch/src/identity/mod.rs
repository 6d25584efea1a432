//! Who a packet belongs to: the veth decides, not the address.
//!
//! [`LinkMonitor`] and [`DockerWatcher`] tell what happens; [`Directory`] keeps it and answers. The directory is pure.

mod chronicle;
pub mod directory;
pub mod docker;
mod domains;
mod host;
pub mod netlink;
mod network;
mod proxies;

pub use chronicle::Chronicle;
pub use directory::{Directory, EngineState, GRACE, Lookup};
pub use docker::{DockerWatcher, EngineCounters, EngineEvent, Happening, What, engine_endpoint};
pub use domains::Domains;
pub use host::HostAddress;
pub use netlink::{
    Connection, Conntrack, LinkCounters, LinkEvent, LinkMonitor, LinkStats, NetlinkError, Tracked,
    connections_to, named_namespaces, namespace_id_of_path, namespace_id_of_pid, namespace_inode,
};
pub use network::Network;
pub use proxies::Proxies;
