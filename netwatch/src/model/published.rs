//! Ports of containers that can be reached at the host's addresses.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Protocol, Socket};

/// A port of a container that its engine has published at the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PublishedPort {
    /// Where the host takes connections; the unspecified address stands for all of its family.
    pub host: Socket,
    /// The container's port.
    pub port: u16,
    /// Transport protocol of both.
    pub protocol: Protocol,
}

/// The container that a port of the host leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behind {
    /// The container's name.
    pub name: Arc<str>,
    /// Its identifier.
    pub container_id: Arc<str>,
    /// Its port.
    pub port: u16,
}
