//! Network interfaces of the host.

use serde::{Deserialize, Serialize};
use std::fmt;

/// An Ethernet address.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, octet) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { ":" };
            write!(f, "{separator}{octet:02x}")?;
        }
        Ok(())
    }
}

impl std::str::FromStr for Mac {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut octets = [0; 6];
        let mut parts = text.split(':');
        for octet in &mut octets {
            let part = parts.next().filter(|part| part.len() == 2).ok_or(())?;
            *octet = u8::from_str_radix(part, 16).map_err(|_| ())?;
        }
        if parts.next().is_some() { Err(()) } else { Ok(Self(octets)) }
    }
}

/// What an interface is, as far as netwatch cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InterfaceKind {
    /// One end of a veth pair.
    Veth,
    /// A bridge device.
    Bridge,
    /// Anything else.
    Other,
}

impl InterfaceKind {
    /// The word in metrics and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Veth => "veth",
            Self::Bridge => "bridge",
            Self::Other => "other",
        }
    }
}

/// An interface as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The kernel's index (ifindex).
    pub index: u32,
    /// The name now; it can change.
    pub name: String,
    /// What it is.
    pub kind: InterfaceKind,
    /// ifindex of the bridge that it is a port of.
    pub master: Option<u32>,
    /// For a veth whose peer is in another network namespace: the identifier of that namespace in ours.
    pub peer_namespace: Option<i32>,
    /// Its own Ethernet address.
    pub mac: Option<Mac>,
}
