//! What the agent is told to do: checked values, made by the command line from flags, environment, file and defaults.

use std::{fmt, path::PathBuf, time::Duration};

use globset::GlobMatcher;

use crate::datapath::Options;
use crate::model::{Exclusion, Interface, InterfaceKind};

pub use crate::{
    datapath::AttachMode,
    metrics::{ContainerLabel, LabelChoice},
    sandbox::Strictness,
    serve::{Place, flows::SocketPlace},
};

/// Which interfaces to observe.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// `--interface`: only interfaces with such a name, of whatever kind. Empty: all veths and the bridges of
    /// container engines.
    pub include: Vec<GlobMatcher>,
    /// `--exclude`: never interfaces with such a name.
    pub exclude: Vec<GlobMatcher>,
}

impl Selection {
    /// Whether to observe this interface. `engine_bridge`: the directory holds it for a container engine's.
    pub fn selects(&self, interface: &Interface, engine_bridge: bool) -> bool {
        if self.exclude.iter().any(|glob| glob.is_match(&interface.name)) {
            return false;
        }
        if !self.include.is_empty() {
            return self.include.iter().any(|glob| glob.is_match(&interface.name));
        }
        match interface.kind {
            // Both ends of a new pair are on the host at first; the one that stays becomes a port of a bridge or sees
            // its peer leave for another namespace.
            InterfaceKind::Veth => interface.master.is_some() || interface.peer_namespace.is_some(),
            InterfaceKind::Bridge => engine_bridge,
            InterfaceKind::Other => false,
        }
    }
}

/// Where the flow log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlowLogTarget {
    /// Standard output (`-`).
    Stdout,
    /// A file, appended to.
    File(PathBuf),
}

impl fmt::Display for FlowLogTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("on standard output"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// When a flow log file gives way to a new one, and what is kept of those that did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// `--flow-log-max-size`: bytes of a file; `None`: as many as there are.
    pub max_size: Option<u64>,
    /// `--flow-log-max-age`: since it was begun; `None`: for ever.
    pub max_age: Option<Duration>,
    /// `--flow-log-max-total`: bytes of all files, compressed ones included; `None`: all are kept.
    pub max_total: Option<u64>,
}

impl Rotation {
    /// Whether a file ever gives way. Otherwise all others are left alone too.
    pub fn is_on(self) -> bool {
        self.max_size.is_some() || self.max_age.is_some()
    }
}

/// How flow log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum FlowFormat {
    /// One line for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The checked configuration of `netwatch run`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Interfaces to observe.
    pub selection: Selection,
    /// `--exclude-net`, `--exclude-port`, `--exclude-protocol`: packets that are in no flow.
    pub exclusion: Exclusion,
    /// `--flow-log`; `None`: no flow log.
    pub flow_log: Option<FlowLogTarget>,
    /// `--flow-log-max-size`, `--flow-log-max-age`, `--flow-log-max-total`.
    pub rotation: Rotation,
    /// `--flow-format`.
    pub flow_format: FlowFormat,
    /// Whether to colour a flow log on standard output.
    pub colour: bool,
    /// `--flow-log-fold`: flows that begin and end within this time are folded; `None`: none.
    pub fold: Option<Duration>,
    /// `--sample-rate`: one packet in this many; 0 = off.
    pub sample_rate: u32,
    /// `--sample-length`: bytes of a packet that a sample carries at most.
    pub sample_length: u16,
    /// `--flow-log-samples`: a line for each sample.
    pub log_samples: bool,
    /// `--dns-rate`: DNS messages that are read per second, interface and CPU; 0 = none.
    pub dns_rate: u32,
    /// `--flow-idle-timeout`.
    pub idle_timeout: Duration,
    /// `--flow-active-timeout`.
    pub active_timeout: Duration,
    /// `--max-flows`: flows that the agent tracks; the kernel's table has twice as many entries.
    pub max_flows: u32,
    /// `--docker-host`: `unix:///path`, `tcp://host:port`; `None`: `DOCKER_HOST` was unset too, use the default socket.
    pub docker_host: Option<String>,
    /// `--socket`, `--socket-group`; `None`: no socket and no history.
    pub socket: Option<SocketPlace>,
    /// `--web.listen-address`, `--web.systemd-socket`.
    pub listen: Vec<Place>,
    /// `--web.config.file`.
    pub web_config: Option<PathBuf>,
    /// `--web.max-requests`: for metrics, at a time; 0: as many as come.
    pub max_requests: usize,
    /// `--web.telemetry-path`.
    pub telemetry_path: String,
    /// `--metrics.max-series`: hard limit of the series about edges.
    pub max_series: usize,
    /// `--metrics.linger`: how long the figures of who has gone stay.
    pub linger: Duration,
    /// `--metrics.labels`.
    pub labels: LabelChoice,
    /// `--attach-mode`.
    pub attach_mode: AttachMode,
    /// `--sandbox`.
    pub sandbox: Strictness,
    /// `--pin-dir`, `--ephemeral`: where what counts in the kernel stays when the agent ends; `None`: nowhere.
    pub pins: Option<PathBuf>,
    /// `--state-dir`: where the agent writes down what it has added up; only with `pins`.
    pub state: PathBuf,
    /// `--log.level debug` or `trace`: load the object with kernel-side messages.
    pub kernel_messages: bool,
}

/// Entries of the kernel's flow table for each flow: between two containers it stands at the veths of both.
const ENTRIES_PER_FLOW: u32 = 2;

impl Config {
    /// How to load the kernel side.
    pub fn kernel_side(&self) -> Options {
        Options {
            flow_entries: self.max_flows.saturating_mul(ENTRIES_PER_FLOW),
            sample_rate: self.sample_rate,
            sample_length: self.sample_length,
            dns_rate: self.dns_rate,
            exclusion: self.exclusion.clone(),
            attach_mode: self.attach_mode,
            messages: self.kernel_messages,
            pins: self.pins.clone(),
            inheritance: None,
        }
    }
}
