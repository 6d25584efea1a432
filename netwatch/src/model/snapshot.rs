//! All counters at one moment: what `/metrics` is built from. Every figure is a total since the agent's start.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    ops::AddAssign,
    sync::Arc,
    time::Duration,
};

use netwatch_common::outcome::Outcome;
use serde::{Deserialize, Serialize};

use super::{
    Container, DropTotal, EndReason, Exemplar, Feature, Interface, InterfaceCounters, OutOfSight,
    Protocol, Shares, SizeHistogram, Tally, TimeHistogram,
};

/// An observed interface.
#[derive(Clone, Debug)]
pub struct InterfaceSnapshot {
    /// The interface.
    pub interface: Interface,
    /// The container behind a veth.
    pub container: Option<Arc<Container>>,
    /// The Docker network of the bridge that it is, or is a port of.
    pub network: Option<Arc<str>>,
    /// Its counters since attach, from the interface's side.
    pub counters: InterfaceCounters,
}

/// What a container sent and received in one network, over all its veths and restarts; from the container's side.
#[derive(Clone, Debug)]
pub struct ContainerTraffic {
    /// The container's name.
    pub container: Arc<str>,
    /// The network's name; empty where unknown.
    pub network: Arc<str>,
    /// What it received.
    pub receive: Tally,
    /// What it sent.
    pub transmit: Tally,
}

/// How large the packets of a container were in one network; from the container's side.
#[derive(Clone, Debug)]
pub struct ContainerSizes {
    /// The container's name.
    pub container: Arc<str>,
    /// The network's name; empty where unknown.
    pub network: Arc<str>,
    /// What it received.
    pub receive: SizeHistogram,
    /// What it sent.
    pub transmit: SizeHistogram,
}

/// DNS messages of one who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsCounts {
    /// Questions.
    pub queries: u64,
    /// Answers, by the mnemonic of their response code.
    pub responses: BTreeMap<Cow<'static, str>, u64>,
}

/// Who talks to whom: the key of the edge metrics.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Edge {
    /// Bounded name of the client.
    pub client: Arc<str>,
    /// Bounded name of the server.
    pub server: Arc<str>,
    /// Transport protocol; `None` in the edge that the others are folded into.
    pub protocol: Option<Protocol>,
    /// The server's port; 0 where the protocol has none or where it is ephemeral.
    pub port: u16,
}

/// What went over an edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeTraffic {
    /// client → server.
    pub sent: Tally,
    /// server → client.
    pub received: Tally,
    /// Flows that started.
    pub connections: u64,
    /// TCP segments that were sent again, in both directions.
    pub retransmitted: u64,
}

impl AddAssign for EdgeTraffic {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.received += other.received;
        self.connections += other.connections;
        self.retransmitted += other.retransmitted;
    }
}

/// Numbers of flows.
#[derive(Clone, Debug, Default)]
pub struct FlowTotals {
    /// Open now.
    pub active: u64,
    /// Started since the agent's start.
    pub started: u64,
    /// Ended, by reason.
    pub ended: Vec<(EndReason, u64)>,
    /// Packets counted in flows at the hooks, each hook by itself: the other side of the ledger.
    pub counted: Tally,
}

/// How attaching went.
#[derive(Clone, Debug, Default)]
pub struct AttachStatus {
    /// Interfaces attached now.
    pub attached: u64,
    /// Time from the link's announcement by the kernel to both programs attached: one value per attach, for those that
    /// came while the agent ran. Bounded: cumulative buckets in seconds (`le`, count).
    pub seconds_buckets: Vec<(f64, u64)>,
    /// Their sum.
    pub seconds_sum: f64,
    /// Their number.
    pub seconds_count: u64,
    /// Attaches that failed.
    pub failures: u64,
    /// Interfaces that somebody else had detached us from.
    pub detached_by_others: u64,
    /// Packets that devices had carried before the programs were attached, for links that came while the agent ran.
    pub gap_packets: u64,
}

/// The kernel's own statistics of a program (zero unless `kernel.bpf_stats_enabled`).
#[derive(Clone, Debug)]
pub struct ProgramRuns {
    /// Name of the program.
    pub program: &'static str,
    /// How often it ran.
    pub runs: u64,
    /// How long in all.
    pub time: Duration,
}

/// Who reads at the socket.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReaderStatus {
    /// Connected now.
    pub connected: u64,
    /// Connections refused.
    pub refused: u64,
    /// Lines that readers have taken.
    pub lines: u64,
    /// Events that had gone from the history before a reader came to them.
    pub lost: u64,
}

/// Packets that did not come out of a container's veth.
#[derive(Clone, Debug)]
pub struct UndeliveredTotal {
    /// The container.
    pub container: Arc<str>,
    /// The bridge in front of its veth.
    pub place: Arc<str>,
    /// How many.
    pub packets: u64,
    /// The last flow that missed some.
    pub last: Exemplar,
}

/// How long things took, each by a bounded name.
#[derive(Clone, Debug, Default)]
pub struct Times {
    /// TCP handshakes, by who was asked.
    pub handshakes: Vec<(Arc<str>, TimeHistogram)>,
    /// ICMP echoes, by who was asked.
    pub echoes: Vec<(Arc<str>, TimeHistogram)>,
    /// Look-ups of names, by who asked.
    pub lookups: Vec<(Arc<str>, TimeHistogram)>,
}

/// Scrapes since the start, this one included.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScrapeStatus {
    /// How many.
    pub scrapes: u64,
    /// How long collecting their figures took in all.
    pub time: Duration,
    /// The age of the oldest figure of this one.
    pub age: Duration,
}

/// A ring buffer between the programs and the agent.
#[derive(Clone, Copy, Debug)]
pub struct RingStatus {
    /// What goes through it.
    pub ring: &'static str,
    /// The most bytes that were found in it of late.
    pub used: u64,
    /// Bytes that it has room for.
    pub size: u64,
}

/// One of the works of the agent's core, since the start.
#[derive(Clone, Copy, Debug)]
pub struct StageStatus {
    /// Which.
    pub stage: &'static str,
    /// How often.
    pub runs: u64,
    /// How long, in all.
    pub time: Duration,
}

/// The process of the agent.
#[derive(Clone, Copy, Debug)]
pub struct ProcessStatus {
    /// Time on a CPU.
    pub cpu_seconds: f64,
    /// When it was started, in seconds since the Unix epoch.
    pub started: f64,
    /// Address space.
    pub virtual_bytes: u64,
    /// Memory.
    pub resident_bytes: u64,
    /// Open file descriptors.
    pub open_fds: u64,
    /// As many as there may be.
    pub max_fds: u64,
}

/// The HTTP side since the start.
#[derive(Clone, Debug, Default)]
pub struct WebStatus {
    /// Answers by status code; 0 stands for all others.
    pub requests: Vec<(u16, u64)>,
    /// Connections that made room for others.
    pub displaced: u64,
    /// Answers that clients did not take in time.
    pub cut: u64,
    /// Connections without a TLS handshake.
    pub handshakes_failed: u64,
    /// Changes of the web configuration that are not in force.
    pub settings_failed: u64,
    /// Whether the web configuration is in force as it is; `None`: there is none.
    pub settings_good: Option<bool>,
}

/// The agent about itself.
#[derive(Clone, Debug, Default)]
pub struct AgentStatus {
    /// Whether the engine answers; `None` where none is configured.
    pub engine_up: Option<bool>,
    /// Attaching.
    pub attach: AttachStatus,
    /// What netwatch can do without, and whether it is there.
    pub features: Vec<Feature>,
    /// Times that messages about connections were lost.
    pub conntrack_overruns: u64,
    /// Times that messages about interfaces were lost.
    pub link_overruns: u64,
    /// For how long in all nobody has read what was counted.
    pub away: Duration,
    /// The programs.
    pub programs: Vec<ProgramRuns>,
    /// Flow table entries in use, and in all.
    pub flow_entries: (u64, u64),
    /// Bytes of all maps.
    pub map_bytes: u64,
    /// The rings.
    pub rings: Vec<RingStatus>,
    /// Entries that had to give way in the kernel's table.
    pub evictions: u64,
    /// Samples received.
    pub samples: u64,
    /// Samples lost because the ring was full.
    pub samples_lost: u64,
    /// DNS messages received.
    pub messages: u64,
    /// DNS messages that are in no count, by reason; every reason, also those with zero.
    pub messages_lost: [(&'static str, u64); 3],
    /// Drops whose flow was not told.
    pub drop_details_lost: u64,
    /// Drops that the kernel did not show to the program.
    pub drops_missed: u64,
    /// Whether the flow log can be written; `None`: there is none.
    pub log_up: Option<bool>,
    /// Flow log lines written.
    pub log_lines: u64,
    /// Flow log lines that could not be written, or were dropped because the writer was behind.
    pub log_lines_lost: u64,
    /// Lines of the agent's own log that could not be written.
    pub journal_lines_lost: u64,
    /// Flow log files that gave way to new ones.
    pub log_rotations: u64,
    /// Readers of flow events.
    pub readers: ReaderStatus,
    /// The HTTP side.
    pub web: WebStatus,
    /// Scrapes.
    pub scrape: ScrapeStatus,
    /// What the core spends its time on.
    pub stages: Vec<StageStatus>,
    /// The process; `None` where it cannot be told.
    pub process: Option<ProcessStatus>,
}

/// Everything at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Observed interfaces, as far as they have series of their own.
    pub interfaces: Vec<InterfaceSnapshot>,
    /// What the others have counted together; `None` where there are none.
    pub other_interfaces: Option<InterfaceCounters>,
    /// How many have no series of their own, by what they are.
    pub folded: [(&'static str, usize); 2],
    /// How the series are shared out.
    pub shares: Shares,
    /// Traffic per container and network.
    pub containers: Vec<ContainerTraffic>,
    /// Packet sizes per container and network, estimated from samples.
    pub sizes: Vec<ContainerSizes>,
    /// DNS messages by the bounded name of the one who asks.
    pub dns: Vec<(Arc<str>, DnsCounts)>,
    /// Known containers, for the info metric.
    pub known: Vec<Arc<Container>>,
    /// The same by name, and those who have gone and have figures, as they were last; where labels of theirs are asked for.
    pub labelled: Arc<HashMap<Arc<str>, Arc<Container>>>,
    /// What cannot be observed of them.
    pub out_of_sight: Vec<(Arc<Container>, OutOfSight)>,
    /// Traffic per edge.
    pub edges: Vec<(Edge, EdgeTraffic)>,
    /// How many flows were folded into the edge `other`.
    pub edges_folded: u64,
    /// Packets that the kernel dropped.
    pub dropped: Vec<DropTotal>,
    /// Packets that did not come out of a container's veth.
    pub undelivered: Vec<UndeliveredTotal>,
    /// How long things took.
    pub times: Times,
    /// Packets seen at the hooks, each hook by itself.
    pub seen: Tally,
    /// Why packets are in no flow; every outcome, also those with zero.
    pub outcomes: Vec<(Outcome, Tally)>,
    /// Flows.
    pub flows: FlowTotals,
    /// The agent.
    pub agent: AgentStatus,
}
