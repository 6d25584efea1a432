//! One end of a flow, named.

use std::{net::IpAddr, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Container, Mac, Socket};

/// Whose an address is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Name {
    /// A container's.
    Container(Arc<Container>),
    /// This host's own (gateway addresses of its bridges among them).
    Host,
    /// A multicast group.
    Multicast,
    /// A broadcast address.
    Broadcast,
    /// Behind an observed interface whose container is not known; the interface's name.
    Interface(String),
    /// None of ours: outside this host.
    External,
    /// The same, under the name by which the container at the other end looked it up.
    Domain(Arc<str>),
}

impl Name {
    /// The bounded name for metric labels: never an address.
    pub fn label(&self) -> &str {
        match self {
            Self::Container(container) => &container.name,
            Self::Host => "host",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Interface(name) => name,
            Self::External | Self::Domain(_) => "external",
        }
    }

    /// The word for what it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Container(_) => "container",
            Self::Host => "host",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Interface(_) => "interface",
            Self::External | Self::Domain(_) => "external",
        }
    }
}

/// One end of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Address and port.
    pub socket: Socket,
    /// Whose it is.
    pub name: Name,
}

impl Endpoint {
    /// The container, if it is one.
    pub fn container(&self) -> Option<&Arc<Container>> {
        match &self.name {
            Name::Container(container) => Some(container),
            _ => None,
        }
    }

    /// The bounded name for metric labels: never an address.
    pub fn label(&self) -> &str {
        self.name.label()
    }

    /// The Ethernet address that an engine gave to the container with its address.
    pub fn mac(&self) -> Option<Mac> {
        let attachments = &self.container()?.attachments;
        attachments.iter().find(|one| one.addresses.contains(&self.address()))?.mac
    }

    /// The address.
    pub fn address(&self) -> IpAddr {
        self.socket.address
    }
}
