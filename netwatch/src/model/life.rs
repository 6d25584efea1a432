//! What happens to containers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Container, Instant};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Its process runs for the first time that we know of.
    Started,
    /// Its process runs again.
    Restarted,
    /// Another container runs under the name of one that has gone.
    Recreated,
    /// It has another name.
    Renamed,
    /// It came into a network while it ran.
    Connected,
    /// It left a network while it ran.
    Disconnected,
    /// Its processes are halted.
    Paused,
    /// They go on.
    Unpaused,
    /// Its process has ended.
    Died,
    /// Traffic of it cannot be observed.
    OutOfSight,
}

impl Change {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Started,
        Self::Restarted,
        Self::Recreated,
        Self::Renamed,
        Self::Connected,
        Self::Disconnected,
        Self::Paused,
        Self::Unpaused,
        Self::Died,
        Self::OutOfSight,
    ];

    /// The word in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Restarted => "restarted",
            Self::Recreated => "recreated",
            Self::Renamed => "renamed",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::Paused => "paused",
            Self::Unpaused => "unpaused",
            Self::Died => "died",
            Self::OutOfSight => "out-of-sight",
        }
    }

    /// Whether a life begins with it.
    pub fn is_beginning(self) -> bool {
        matches!(self, Self::Started | Self::Restarted | Self::Recreated)
    }
}

/// Why traffic of a container crosses no interface of its own on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Unseen {
    /// It uses the host's network namespace: its traffic is the host's.
    HostNetwork,
    /// It has no network but its own loopback.
    NoNetwork,
    /// Its interface hangs on the host's network card; there is no veth.
    Macvlan,
    /// The same.
    Ipvlan,
    /// The host's end of its veth is in a namespace of the engine's.
    Overlay,
}

impl Unseen {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::HostNetwork, Self::NoNetwork, Self::Macvlan, Self::Ipvlan, Self::Overlay];

    /// The word in log and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::HostNetwork => "host-network",
            Self::NoNetwork => "no-network",
            Self::Macvlan => "macvlan",
            Self::Ipvlan => "ipvlan",
            Self::Overlay => "overlay",
        }
    }
}

/// Traffic that cannot be observed, and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OutOfSight {
    /// Why.
    pub reason: Unseen,
    /// The network that this is about; `None`: all of the container's traffic.
    pub network: Option<Arc<str>>,
}

/// A container with what it was seen by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appearance {
    /// The container.
    pub container: Arc<Container>,
    /// Names of its veths on the host, in order.
    pub veths: Vec<String>,
}

/// Something that happened to a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifeEvent {
    /// When, by the engine.
    pub time: Instant,
    /// What.
    pub change: Change,
    /// The container as it is now; of one that died, as it was.
    pub now: Appearance,
    /// What it was before: of what was restarted, recreated or renamed.
    pub before: Option<Appearance>,
    /// The network that it came into, left, or is out of sight in.
    pub network: Option<Arc<str>>,
    /// The exit code of one that died.
    pub exit: Option<i64>,
    /// Running containers of its Compose service, of one that started or died.
    pub replicas: Option<usize>,
    /// Why it is out of sight.
    pub unseen: Option<Unseen>,
}

impl LifeEvent {
    /// An event with nothing more to say.
    pub fn new(time: Instant, change: Change, now: Appearance) -> Self {
        Self {
            time,
            change,
            now,
            before: None,
            network: None,
            exit: None,
            replicas: None,
            unseen: None,
        }
    }

    /// The containers that it is about: two where another one was there before.
    pub fn containers(&self) -> [Option<&Container>; 2] {
        [Some(&*self.now.container), self.before.as_ref().map(|before| &*before.container)]
    }
}
