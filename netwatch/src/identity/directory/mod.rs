//! Who an interface and an address belong to. Pure: told what happened and when, asked for names.
//!
//! The veth decides, not the address: an address can be reused within a second, a veth leads into one namespace. What has
//! gone is found for [`GRACE`] still, so that the last packets of a container have its name, unless a live one claims the
//! same and had come by then.

mod apply;
mod arrivals;
mod index;
mod lookup;
mod published;
mod sight;
mod stays;
#[cfg(test)]
pub(super) mod testbed;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use self::{arrivals::Arrival, index::Index, stays::Stays};
use super::{HostAddress, Network};
use crate::model::{Container, Instant, Interface, Mac, Name, Source};

/// How long what has gone is found still.
pub const GRACE: Duration = Duration::from_mins(1);

/// Ethernet addresses that are remembered with their port; containers' come on top.
const MOST_LEARNED: usize = 65_536;

/// Whether a container engine can be expected to name what is not known yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineState {
    /// Being connected to for the first time.
    #[default]
    Expected,
    /// Answering.
    Up,
    /// Absent.
    Down,
}

/// The answer to "whose is this address?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// This is the name, as far as can be known.
    Known(Name),
    /// The engine may name it in a moment. Whoever cannot wait takes this.
    Pending(Name),
}

impl Lookup {
    /// The name, waiting no longer.
    pub fn into_name(self) -> Name {
        match self {
            Self::Known(name) | Self::Pending(name) => name,
        }
    }

    /// Whether waiting a little may give a better one.
    pub fn is_pending(&self) -> bool {
        matches!(self, Self::Pending(_))
    }
}

/// Engines and `ip netns` give names independently of each other.
type Key = (bool, String);

fn key(source: Source, id: &str) -> Key {
    (source == Source::Engine, id.to_owned())
}

#[derive(Clone, Debug)]
struct Live {
    container: Arc<Container>,
    /// Number of its network namespace, while known.
    namespace: Option<i32>,
    /// Later claims to an address win over earlier ones.
    order: u64,
    stays: Stays,
}

#[derive(Clone, Debug)]
struct Gone {
    live: Live,
    at: Instant,
}

/// An interface and what it was found to lead to.
#[derive(Clone, Debug)]
struct Link {
    interface: Interface,
    /// The container that it led to when the kernel last showed a namespace behind it: a peer comes home before its
    /// veth is deleted.
    settled: Option<Arc<Container>>,
    /// The network that it was in last: a veth leaves its bridge before it is deleted.
    network: Option<Arc<str>>,
    /// When it came; `None`: it was in a list.
    born: Option<Instant>,
}

#[derive(Clone, Debug)]
struct Departed {
    container: Option<Arc<Container>>,
    network: Option<Arc<str>>,
    interface: Interface,
    born: Option<Instant>,
    at: Instant,
}

/// Interfaces, addresses, containers and networks as they are now and were until [`GRACE`] ago.
#[derive(Debug, Default)]
pub struct Directory {
    links: HashMap<u32, Link>,
    departed: HashMap<u32, Departed>,
    host: HashSet<IpAddr>,
    host_addresses: Vec<HostAddress>,
    /// Where each Ethernet address was last learned. A container's is kept when the bridge forgets: it does so before the
    /// veth goes.
    ports: HashMap<Mac, u32>,
    live: HashMap<Key, Live>,
    gone: Vec<Gone>,
    arrivals: Vec<Arrival>,
    /// Of the engine's containers, by identifier; the engine tells of a network before it tells of the container.
    stays: HashMap<String, Stays>,
    networks: Vec<Network>,
    engine: EngineState,
    /// The engine has listed its containers since it came back.
    listed: bool,
    index: Index,
    order: u64,
}

impl Directory {
    /// Knows nothing yet; expects an engine.
    pub fn new() -> Self {
        Self::default()
    }

    /// Live containers, those of the engine and named namespaces alike.
    pub fn containers(&self) -> impl Iterator<Item = &Arc<Container>> {
        self.live.values().map(|live| &live.container)
    }

    /// Interfaces that there are.
    pub fn interfaces(&self) -> impl Iterator<Item = &Interface> {
        self.links.values().map(|link| &link.interface)
    }

    /// An interface that there is, or was until [`GRACE`] ago.
    pub fn interface(&self, index: u32) -> Option<&Interface> {
        let departed = || self.departed.get(&index).map(|departed| &departed.interface);
        self.links.get(&index).map(|link| &link.interface).or_else(departed)
    }

    /// Whether the engine answers.
    pub fn engine(&self) -> EngineState {
        self.engine
    }
}
