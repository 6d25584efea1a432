//! Containers, as far as their traffic needs to know them.

use std::{net::IpAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{Mac, PublishedPort};

/// Who told us of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Source {
    /// A Docker-compatible engine.
    Engine,
    /// A named network namespace (`ip netns`); its name stands for the container's.
    Namespace,
}

/// A container's place in one network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Name of the network.
    pub network: String,
    /// Identifier of the network.
    pub network_id: String,
    /// Addresses of the container in it.
    pub addresses: Vec<IpAddr>,
    /// Its Ethernet address there.
    pub mac: Option<Mac>,
}

/// A container at one time of its life. A change makes a new value; records keep the one they were made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// The engine's identifier, or the namespace's name.
    pub id: String,
    /// The name, without Docker's leading slash.
    pub name: String,
    /// The image it was made from; empty where unknown.
    pub image: String,
    /// Compose project.
    pub project: Option<String>,
    /// Compose service.
    pub service: Option<String>,
    /// The networks it is in.
    pub attachments: Vec<Attachment>,
    /// Process whose network namespace it has; `None` when not running.
    pub pid: Option<i32>,
    /// The file by which the engine keeps that namespace.
    pub namespace: Option<PathBuf>,
    /// Uses the host's network namespace: its traffic is the host's.
    pub host_network: bool,
    /// Name of the container whose network namespace it shares.
    pub shares_with: Option<String>,
    /// Its ports that can be reached at the host's addresses.
    pub published: Vec<PublishedPort>,
    /// Names of the containers that share its network namespace, in order: its traffic is theirs too.
    pub shared_by: Vec<String>,
    /// Who told us.
    pub source: Source,
}
