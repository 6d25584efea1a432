//! What was seen of a host, before anybody judges it.

use std::{collections::HashMap, path::PathBuf};

use super::{distribution::Distribution, scrape::Scrape};
use crate::{
    agent::config::AttachMode,
    datapath::{Beside, Hook, PinPlace, Trial},
    model::Feature,
};

/// Everything.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) distribution: Distribution,
    pub(super) kernel: Kernel,
    /// Effective capabilities, a bit for each.
    pub(super) capabilities: Option<u64>,
    pub(super) is_root: bool,
    pub(super) memory: Memory,
    pub(super) load: Result<Trial, Refusal>,
    pub(super) attach_mode: AttachMode,
    /// Whether the kernel has TCX, or why that is not known.
    pub(super) tcx: Result<bool, String>,
    /// What the kernel has to confine an agent by.
    pub(super) sandbox: Vec<Feature>,
    /// Where an agent pins; `None`: it does not (`--ephemeral`).
    pub(super) pins: Option<PinPlace>,
    /// Whether the kernel tells of connections, or why not.
    pub(super) conntrack: Result<(), String>,
    pub(super) engine: Engine,
    /// The interfaces, or why the kernel does not list them.
    pub(super) links: Result<Vec<Link>, String>,
    pub(super) agent: Agent,
    /// Each address that an agent is to listen at.
    pub(super) listen: Vec<(String, Listen)>,
    pub(super) clock: Clock,
}

#[derive(Clone, Debug)]
pub(super) struct Kernel {
    /// As `uname -r` says it.
    pub(super) release: String,
    /// The file, and the options that are set in it.
    pub(super) config: Option<(PathBuf, HashMap<String, String>)>,
    /// Whether the type information can be read, or why not.
    pub(super) btf: Result<(), String>,
    /// The mode in force.
    pub(super) lockdown: Option<String>,
}

impl Kernel {
    /// Major and minor number.
    pub(super) fn version(&self) -> Option<(u32, u32)> {
        let mut numbers = self.release.split(|c: char| !c.is_ascii_digit());
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    /// `RLIMIT_MEMLOCK`; `None`: unlimited.
    pub(super) memlock: Option<u64>,
    /// The smallest limit of our control group and those above it; `None`: there is none.
    pub(super) group: Option<u64>,
    /// What an agent with this configuration may take.
    pub(super) needed: u64,
}

/// As `netwatch run` says it.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) remedy: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub(super) enum Engine {
    Up {
        version: String,
        api: String,
        endpoint: String,
    },
    /// `reason` as `netwatch run` logs it.
    Down {
        reason: String,
        socket: EngineSocket,
    },
}

/// What is in the engine's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EngineSocket {
    Absent,
    Forbidden,
    /// A socket that nobody listens at, or an address of TCP.
    Other,
}

#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) name: String,
    pub(super) selected: Selected,
    /// Who is attached, or why that is not known. Looked up for interfaces that are to be observed.
    pub(super) hooks: Result<Vec<(Hook, Vec<Beside>)>, String>,
}

/// Whether an agent is to observe an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selected {
    Yes,
    /// By `--interface` or `--exclude`.
    NotAsked,
    /// Neither a veth that leads into a container nor an engine's bridge.
    NotOfContainers,
}

/// What answers as an agent.
#[derive(Clone, Debug, Default)]
pub(super) struct Agent {
    /// At its socket.
    pub(super) socket: Socket,
    /// Its metrics, where they answer.
    pub(super) metrics: Option<Scrape>,
    /// What its page about readiness says unless it is ready.
    pub(super) not_ready: Option<String>,
}

impl Agent {
    /// Whether there is one.
    pub(super) fn runs(&self) -> bool {
        self.socket == Socket::Answers || self.metrics.is_some()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Socket {
    Answers,
    /// There is none, or nobody listens.
    #[default]
    Silent,
    /// It may not be opened, or refuses us.
    Forbidden(String),
    /// Something listens that does not answer as an agent.
    Strange(String),
}

#[derive(Clone, Debug)]
pub(super) enum Listen {
    Free,
    /// netwatch answers.
    Ours,
    /// As `netwatch run` says it.
    Refused(String),
}

#[derive(Clone, Debug)]
pub(super) struct Clock {
    /// Whether `CLOCK_MONOTONIC` went on while it was looked at.
    pub(super) goes_on: bool,
    /// Whether the kernel holds the wall clock for synchronised; `None`: it does not say.
    pub(super) synchronised: Option<bool>,
    /// What the kernel keeps time by.
    pub(super) source: Option<String>,
}
