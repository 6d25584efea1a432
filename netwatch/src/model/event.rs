//! What the stream of the flow log carries.

use std::{sync::Arc, time::Duration};

use netwatch_common::outcome::Outcome;
use serde::{Deserialize, Serialize};

use super::{
    Behind, Echoes, Endpoint, EntrySide, FlowDrop, FlowKey, Handshake, IcmpError, Instant, Mac,
    Protocol, Repairs, Seen, Tally, Traits, Translation, Undelivered,
};

/// Why a flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EndReason {
    /// TCP: both ends sent FIN.
    Fin,
    /// TCP: one end sent RST.
    Reset,
    /// TCP: the server answered the SYN with RST.
    Refused,
    /// TCP: no answer to the SYN came. ARP: nobody answered.
    NoAnswer,
    /// No packet for the idle timeout.
    Idle,
    /// The interface that one of its ends sent into is gone: its container stopped.
    Gone,
    /// The agent stopped.
    Shutdown,
    /// Packets of a flow that had been reported as ended.
    Late,
}

impl EndReason {
    /// All reasons, for the metric.
    pub const ALL: [Self; 8] = [
        Self::Fin,
        Self::Reset,
        Self::Refused,
        Self::NoAnswer,
        Self::Idle,
        Self::Gone,
        Self::Shutdown,
        Self::Late,
    ];

    /// The word in the log and in the metric.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fin => "fin",
            Self::Reset => "reset",
            Self::Refused => "refused",
            Self::NoAnswer => "no-answer",
            Self::Idle => "idle",
            Self::Gone => "gone",
            Self::Shutdown => "shutdown",
            Self::Late => "late",
        }
    }
}

/// Which moment of a flow's life an event reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FlowPhase {
    /// First packet.
    Start,
    /// Still going on after another active timeout.
    Update,
    /// Over.
    End(EndReason),
}

impl FlowPhase {
    /// The word in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Update => "update",
            Self::End(_) => "end",
        }
    }
}

/// Names of interfaces, by their index. Flows that crossed the same ones share them.
pub type Interfaces = Arc<[(u32, Arc<str>)]>;

/// A flow with both ends named; the initiator is the client. Counts are totals since the flow's start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowRecord {
    /// Number of the flow, unique while the agent lives.
    pub id: u64,
    /// The two ends in canonical order.
    pub key: FlowKey,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Who sent first.
    pub client: Endpoint,
    /// The other one.
    pub server: Endpoint,
    /// The container that the host's port leads to, where the server is the host and the port a published one.
    pub behind: Option<Behind>,
    /// How it was passed on to the server, if it was.
    pub translation: Option<Translation>,
    /// Network (Docker's name for it) that the flow was seen in; `None` where unknown.
    pub network: Option<Arc<str>>,
    /// client → server, counted once, at the hook nearest the client.
    pub sent: Tally,
    /// server → client, counted once, at the hook nearest the server.
    pub received: Tally,
    /// First packet.
    pub first: Instant,
    /// Last packet.
    pub last: Instant,
    /// ICMP echo.
    pub echo: bool,
    /// What is known of the client's packets.
    pub from_client: Direction,
    /// What is known of the server's packets.
    pub from_server: Direction,
    /// How the TCP connection was set up; `None` where that was not seen.
    pub handshake: Option<Handshake>,
    /// ICMP echoes that were timed.
    pub echoes: Echoes,
    /// The last ICMP error message that quoted one of its packets.
    pub error: Option<IcmpError>,
    /// Source address of the Ethernet frame that opened the flow where it was first seen.
    pub source_mac: Option<Mac>,
    /// Every hook it crossed.
    pub seen: Vec<Seen>,
    /// Names of the interfaces of these hooks, as far as they are known.
    pub interfaces: Interfaces,
    /// Its packets that were dropped, as far as they were told.
    pub drops: Vec<FlowDrop>,
    /// What did not arrive, of a flow that has ended; `None`: nothing, or that cannot be told.
    pub undelivered: Option<Undelivered>,
}

/// What is known of one direction, apart from how many packets there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Direction {
    /// All TCP flags.
    pub tcp_flags: u8,
    /// TCP segments that something had gone wrong with.
    pub repairs: Repairs,
    /// How the packets were.
    pub traits: Traits,
}

impl FlowRecord {
    /// From the first to the last packet.
    pub fn duration(&self) -> Duration {
        self.last.since(self.first)
    }

    /// How long the other end took to answer: to a SYN, or on average to an echo.
    pub fn round_trip(&self) -> Option<Duration> {
        self.handshake.map(|handshake| handshake.answered).or_else(|| self.echoes.mean())
    }

    /// Its packets that were dropped, as far as they were told.
    pub fn dropped(&self) -> u64 {
        self.drops.iter().fold(0, |sum, known| sum.saturating_add(known.packets))
    }

    /// The name of one of the interfaces that it crossed.
    pub fn interface_name(&self, ifindex: u32) -> Option<&str> {
        let (_, name) = self.interfaces.iter().find(|(index, _)| *index == ifindex)?;
        Some(name)
    }

    /// The interfaces that it crossed, each once: first that which the client sent into, last those that only the server did.
    pub fn interface_names(&self) -> Vec<&str> {
        let from_client = || self.seen.iter().filter(|seen| seen.from_client);
        let sent_into = from_client().filter(|seen| seen.side == EntrySide::Ingress);
        let mut names = Vec::new();
        for seen in sent_into.chain(from_client()).chain(&self.seen) {
            if let Some(name) =
                self.interface_name(seen.ifindex).filter(|name| !names.contains(name))
            {
                names.push(name);
            }
        }
        names
    }
}

/// A line about a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowEvent {
    /// When it happened: the first packet of a start, the last one of an end.
    pub time: Instant,
    /// Start, update or end.
    pub phase: FlowPhase,
    /// The flow, as it was then.
    pub flow: FlowRecord,
}

/// Packets that were seen but are in no flow, since the last such line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// When it was noticed.
    pub time: Instant,
    /// The reason.
    pub outcome: Outcome,
    /// How many.
    pub tally: Tally,
}

/// Lines that are missing in a flow log, at the place where they would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// When lines could be written again.
    pub time: Instant,
    /// How many; not known of those of an agent that was away.
    pub lines: u64,
    /// For how long at most nobody has read what was counted.
    pub away: Option<Duration>,
    /// Nor can anybody any more: what passed meanwhile is in no line and no counter.
    pub uncounted: bool,
}
