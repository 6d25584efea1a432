//! One conversation: what all hooks and CPUs have seen of it.

use std::sync::Arc;

use netwatch_common::parse::{ECHO_REPLY, ECHO_REPLY_V6, ECHO_REQUEST, ECHO_REQUEST_V6, tcp_flags};

use super::{
    initiator::{End, low_began},
    tracker::Names,
};
use crate::model::{
    Direction, DropPlace, DroppedPacket, Echoes, EndReason, EntrySide, FlowDrop, FlowEvent,
    FlowKey, FlowPhase, FlowRecord, Handshake, IcmpError, Instant, Mac, Observation, Protocol,
    Repairs, Seen, SideReading, Socket, Tally,
};

/// Where a conversation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its start has not been reported.
    New,
    /// Reported as started.
    Open,
    /// Reported as ended; takes up what still comes.
    Ended {
        /// When it was reported.
        at: Instant,
        /// What it had counted then.
        sent: Tally,
        /// The same of the other direction.
        received: Tally,
    },
}

#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) id: u64,
    pub(super) key: FlowKey,
    pub(super) stage: Stage,
    /// Whether `low` is the client; fixed when the start is reported.
    low_is_client: Option<bool>,
    low: End,
    high: End,
    pub(super) first: Instant,
    pub(super) last: Instant,
    /// By hook and direction (`from_client` stands for "from low" here). Seldom more than four.
    seen: Vec<Seen>,
    /// By reason, place and direction, likewise.
    drops: Vec<FlowDrop>,
    pub(super) names: Option<Names>,
    /// Whether `names` may still change.
    pub(super) provisional: bool,
    /// What has been added to an edge: sent, received.
    pub(super) attributed: (Tally, Tally),
    /// Whether an edge has counted it as a connection.
    pub(super) connection_counted: bool,
    /// When the last line about it was due.
    pub(super) reported: Instant,
    /// TCP: the first ACK of a SYN-ACK, at the hook nearest the client.
    acknowledged: Option<Instant>,
    echoes: Echoes,
    error: Option<IcmpError>,
    source_mac: Option<Mac>,
}

impl Conversation {
    pub(super) fn new(id: u64, key: FlowKey, observation: &Observation) -> Self {
        let first = first_of(observation).unwrap_or_default();
        Self {
            id,
            key,
            stage: Stage::New,
            low_is_client: None,
            low: End { port: key.low.port, ..End::default() },
            high: End { port: key.high.port, ..End::default() },
            first,
            last: first,
            seen: Vec::with_capacity(2),
            drops: Vec::new(),
            names: None,
            provisional: true,
            attributed: (Tally::ZERO, Tally::ZERO),
            connection_counted: false,
            reported: first,
            acknowledged: None,
            echoes: Echoes::default(),
            error: None,
            source_mac: None,
        }
    }

    /// Takes up what one interface has seen.
    pub(super) fn observe(&mut self, observation: &Observation) {
        let local_is_low = observation.local == self.key.low;
        self.add(observation.ifindex, EntrySide::Ingress, local_is_low, &observation.ingress);
        self.add(observation.ifindex, EntrySide::Egress, !local_is_low, &observation.egress);
        self.acknowledged = earlier(self.acknowledged, observation.acknowledged);
        self.echoes.timed += observation.echoes.timed;
        self.echoes.total += observation.echoes.total;
        self.error = observation.error.or(self.error);
        self.source_mac = self.source_mac.or(observation.source_mac.map(|(mac, _)| mac));
    }

    fn add(&mut self, ifindex: u32, side: EntrySide, from_low: bool, reading: &SideReading) {
        if reading.new.is_zero() {
            return;
        }
        let end = if from_low { &mut self.low } else { &mut self.high };
        end.tcp_flags |= reading.tcp_flags;
        end.traits.merge(reading.traits);
        if let Some(first) = reading.first.or(reading.last) {
            end.begins(first, self.key.protocol, reading.opened_by);
            self.first = self.first.min(first);
        }
        if let Some(last) = reading.last {
            self.last = self.last.max(last);
        }
        let place = |seen: &&mut Seen| {
            seen.ifindex == ifindex && seen.side == side && seen.from_client == from_low
        };
        let opens = self.key.protocol == Protocol::TCP && reading.opened_by & tcp_flags::SYN != 0;
        let opened = reading.first.filter(|_| opens);
        match self.seen.iter_mut().find(place) {
            Some(seen) => {
                seen.tally += reading.new;
                seen.repairs += reading.repairs;
                seen.opened = earlier(seen.opened, opened);
            }
            None => self.seen.push(Seen {
                ifindex,
                side,
                from_client: from_low,
                tally: reading.new,
                repairs: reading.repairs,
                opened,
            }),
        }
    }

    /// Takes up that one of its packets was dropped.
    pub(super) fn observe_drop(&mut self, packet: &DroppedPacket, place: &DropPlace) {
        let from_low = packet.source == self.key.low;
        let (reason, ifindex) = (&packet.reason, packet.site.ifindex());
        let same = |known: &&mut FlowDrop| {
            (&known.reason, &known.place, known.ifindex, known.from_client)
                == (reason, place, ifindex, from_low)
        };
        match self.drops.iter_mut().find(same) {
            Some(known) => known.packets += 1,
            None => self.drops.push(FlowDrop {
                reason: Arc::clone(reason),
                place: place.clone(),
                ifindex,
                from_client: from_low,
                packets: 1,
            }),
        }
    }

    /// Its packets that were dropped.
    fn drops(&self) -> Vec<FlowDrop> {
        let low_is_client = self.low_is_client();
        let turned = |known: &FlowDrop| FlowDrop {
            from_client: known.from_client == low_is_client,
            ..known.clone()
        };
        self.drops.iter().map(turned).collect()
    }

    /// Whether an observation is of another connection between the same ports, begun after this one was over.
    pub(super) fn is_over_before(&self, observation: &Observation) -> bool {
        let syn =
            (observation.ingress.tcp_flags | observation.egress.tcp_flags) & tcp_flags::SYN != 0;
        let later = first_of(observation).is_some_and(|first| first > self.last);
        observation.fresh && syn && later && self.tcp_end().is_some()
    }

    fn low_is_client(&self) -> bool {
        self.low_is_client.unwrap_or_else(|| low_began(self.key.protocol, self.low, self.high))
    }

    /// From now on, client and server stay where they are.
    pub(super) fn fix_direction(&mut self) {
        self.low_is_client = Some(self.low_is_client());
    }

    pub(super) fn client_and_server(&self) -> (Socket, Socket) {
        if self.low_is_client() {
            (self.key.low, self.key.high)
        } else {
            (self.key.high, self.key.low)
        }
    }

    /// All hooks it crossed.
    pub(super) fn seen(&self) -> Vec<Seen> {
        let low_is_client = self.low_is_client();
        self.seen
            .iter()
            .map(|seen| Seen { from_client: seen.from_client == low_is_client, ..*seen })
            .collect()
    }

    /// Whether one of its ends sent into this interface.
    pub(super) fn lives_behind(&self, ifindex: u32) -> bool {
        self.seen.iter().any(|seen| seen.ifindex == ifindex && seen.side == EntrySide::Ingress)
    }

    /// client → server and server → client, each packet once.
    ///
    /// Of the hooks that a packet crosses, the one nearest its sender has seen the most: whatever is lost is lost on
    /// the way. So the largest count is the sender's, also when that hook was attached too late to see the beginning.
    pub(super) fn counted(&self) -> (Tally, Tally) {
        let count = |from_low: bool| {
            let hooks = self.seen.iter().filter(|seen| seen.from_client == from_low);
            hooks.fold(Tally::ZERO, |most, seen| most.max(seen.tally))
        };
        if self.low_is_client() { (count(true), count(false)) } else { (count(false), count(true)) }
    }

    /// What went wrong with the segments of one direction, counted as `counted` does.
    fn repairs(&self, from_low: bool) -> Repairs {
        let hooks = self.seen.iter().filter(|seen| seen.from_client == from_low);
        hooks.fold(Repairs::default(), |most, seen| most.max(seen.repairs))
    }

    /// How the TCP connection was set up.
    ///
    /// A SYN passes the hook nearest the client first and the one nearest the server last; a SYN-ACK the other way round.
    fn handshake(&self) -> Option<Handshake> {
        let client_is_low = self.low_is_client();
        let times = |from_low: bool| {
            let hooks = self.seen.iter().filter(move |seen| seen.from_client == from_low);
            hooks.filter_map(|seen| seen.opened)
        };
        let (first_syn, last_syn) = (times(client_is_low).min()?, times(client_is_low).max()?);
        let (first_answer, last_answer) =
            (times(!client_is_low).min()?, times(!client_is_low).max()?);
        Some(Handshake {
            answered: last_answer.since(first_syn),
            server: first_answer.since(last_syn),
            client: self.acknowledged.map(|at| at.since(last_answer)),
        })
    }

    /// How the TCP connection ended, if its packets say that it did.
    pub(super) fn tcp_end(&self) -> Option<EndReason> {
        if self.key.protocol != Protocol::TCP {
            return None;
        }
        let (low, high) = (self.low.tcp_flags, self.high.tcp_flags);
        if low & high & tcp_flags::FIN != 0 {
            return Some(EndReason::Fin);
        }
        if (low | high) & tcp_flags::RST == 0 {
            return None;
        }
        let server = if self.low_is_client() { high } else { low };
        let refused =
            server & tcp_flags::RST != 0 && server & tcp_flags::SYN == 0 && self.opened_by_syn();
        Some(if refused { EndReason::Refused } else { EndReason::Reset })
    }

    /// How it ended when nothing came for long.
    pub(super) fn idle_end(&self) -> EndReason {
        let server = if self.low_is_client() { self.high } else { self.low };
        let asked = self.opened_by_syn() || self.asks_for_somebody();
        if asked && server.first.is_none() { EndReason::NoAnswer } else { EndReason::Idle }
    }

    /// An ARP request that wants an answer: whoever asks for its own address only announces it (RFC 5227, section 3).
    fn asks_for_somebody(&self) -> bool {
        self.key.protocol == Protocol::ARP && self.key.low.address != self.key.high.address
    }

    /// An established TCP connection may be silent for long.
    pub(super) fn is_established(&self) -> bool {
        self.key.protocol == Protocol::TCP && self.low.first.is_some() && self.high.first.is_some()
    }

    fn opened_by_syn(&self) -> bool {
        let client = if self.low_is_client() { self.low } else { self.high };
        self.key.protocol == Protocol::TCP && client.tcp_flags & tcp_flags::SYN != 0
    }

    fn is_echo(&self) -> bool {
        let echo = |end: End| {
            end.first.is_none()
                || matches!(
                    end.icmp_type,
                    ECHO_REQUEST | ECHO_REPLY | ECHO_REQUEST_V6 | ECHO_REPLY_V6
                )
        };
        // ICMP type 0 is an echo reply, but ICMPv6 has no type 0.
        self.key.protocol.is_icmp() && echo(self.low) && echo(self.high) && self.key.low.port != 0
    }

    /// The conversation as it is now; `None` while it has no names.
    pub(super) fn record(&self) -> Option<FlowRecord> {
        let names = self.names.as_ref()?;
        let (sent, received) = self.counted();
        let low_is_client = self.low_is_client();
        let direction = |is_low: bool| {
            let end = if is_low { self.low } else { self.high };
            Direction {
                tcp_flags: end.tcp_flags,
                repairs: self.repairs(is_low),
                traits: end.traits,
            }
        };
        Some(FlowRecord {
            id: self.id,
            key: self.key,
            protocol: self.key.protocol,
            client: names.client.clone(),
            server: names.server.clone(),
            network: names.network.clone(),
            sent,
            received,
            first: self.first,
            last: self.last,
            echo: self.is_echo(),
            from_client: direction(low_is_client),
            from_server: direction(!low_is_client),
            handshake: self.handshake(),
            echoes: self.echoes,
            error: self.error,
            source_mac: self.source_mac,
            seen: self.seen(),
            drops: self.drops(),
        })
    }

    pub(super) fn event(&self, phase: FlowPhase) -> Option<FlowEvent> {
        let flow = self.record()?;
        let time = if phase == FlowPhase::Start { flow.first } else { flow.last };
        Some(FlowEvent { time, phase, flow })
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

fn first_of(observation: &Observation) -> Option<Instant> {
    let firsts = [observation.ingress, observation.egress];
    firsts
        .iter()
        .filter(|side| !side.new.is_zero())
        .filter_map(|side| side.first.or(side.last))
        .min()
}
