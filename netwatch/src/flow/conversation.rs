//! One conversation: what all hooks and CPUs have seen of it.

use std::sync::Arc;

use netwatch_common::parse::{ECHO_REPLY, ECHO_REPLY_V6, ECHO_REQUEST, ECHO_REQUEST_V6, tcp_flags};
use serde::{Deserialize, Serialize};

use super::{
    edges::EdgeId,
    hooks::{Hook, Hooks},
    initiator::{End, low_began},
    lifecycle::LINGER,
    names::Names,
    oddities::Oddities,
    opening::Opening,
};
use crate::model::{
    Direction, DropPlace, DroppedPacket, Echoes, EndReason, EntrySide, FlowDrop, FlowKey,
    Handshake, IcmpError, Instant, Mac, Observation, Protocol, Repairs, Seen, SideReading, Socket,
    Tally, Translation, Translator,
};

/// Where a conversation stands.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Stage {
    /// Its start has not been reported.
    New,
    /// Reported as started.
    Open,
    /// Reported as ended; takes up what still comes.
    Ended(Box<Ended>),
}

/// A conversation when it was reported as ended.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ended {
    /// Until then it takes up what still comes.
    pub(super) until: Instant,
    pub(super) sent: Tally,
    pub(super) received: Tally,
}

/// There may be tens of thousands, so what few of them have is behind a pointer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Conversation {
    pub(super) id: u64,
    pub(super) key: FlowKey,
    pub(super) stage: Stage,
    /// Whether `low` is the client; fixed when the start is reported.
    low_is_client: Option<bool>,
    low: End,
    high: End,
    pub(super) last: Instant,
    /// A connection: when it was found to have ended.
    over: Instant,
    hooks: Hooks,
    #[serde(skip)]
    pub(super) names: Option<Arc<Names>>,
    /// Whether `names` may still change.
    pub(super) provisional: bool,
    /// Whether its counts go to an edge, all so far and from now on what is new.
    pub(super) connected: bool,
    /// What an agent before this one has added to an edge.
    pub(super) earlier: Option<Box<(Tally, Tally)>>,
    /// The one between `names`, once there was anything to add.
    #[serde(skip)]
    pub(super) edge: Option<EdgeId>,
    /// When the last line about it was due.
    pub(super) reported: Instant,
    /// When it is to be looked at next.
    #[serde(skip)]
    pub(super) deadline: Instant,
    pub(super) error: Option<IcmpError>,
    pub(super) source_mac: Option<Mac>,
    opening: Option<Box<Opening>>,
    oddities: Option<Box<Oddities>>,
}

const _: () = assert!(size_of::<Conversation>() <= 280);

impl Conversation {
    /// One of which nothing has been taken up yet. It is due at once.
    pub(super) fn new(id: u64, key: FlowKey, observation: &Observation) -> Self {
        let first = observation.began().unwrap_or_default();
        Self {
            id,
            key,
            stage: Stage::New,
            low_is_client: None,
            low: End::silent(key.low.port),
            high: End::silent(key.high.port),
            last: first,
            over: Instant::default(),
            hooks: Hooks::default(),
            names: None,
            provisional: true,
            connected: false,
            earlier: None,
            edge: None,
            reported: first,
            deadline: Instant::default(),
            error: None,
            source_mac: None,
            opening: None,
            oddities: None,
        }
    }

    /// The same in the hands of the next agent: its names may have changed, and it is due at once.
    pub(super) fn taken_over(mut self) -> Self {
        if self.connected {
            self.earlier = Some(Box::new(self.counted()));
        }
        Self { provisional: true, connected: false, ..self }
    }

    /// Takes up what one interface has seen.
    pub(super) fn observe(&mut self, observation: &Observation) {
        self.observe_leg(observation, false);
    }

    /// Takes up what one interface has seen on the other side of its translation, under the addresses of this one.
    pub(super) fn observe_other_leg(&mut self, observation: &Observation) {
        let by = self.translation().map(|translation| translation.by);
        self.observe_leg(observation, by == Some(Translator::Proxy));
    }

    fn observe_leg(&mut self, observation: &Observation, is_other: bool) {
        let local_is_low = observation.local == self.key.low;
        let hook = |side, from_low| Hook { ifindex: observation.ifindex, side, from_low };
        self.add(hook(EntrySide::Ingress, local_is_low), &observation.ingress, is_other);
        self.add(hook(EntrySide::Egress, !local_is_low), &observation.egress, is_other);
        if let Some(at) = observation.acknowledged {
            self.opening(is_other).acknowledge(at);
        }
        if observation.echoes != Echoes::default() {
            self.oddities.get_or_insert_default().add_echoes(observation.echoes);
        }
        if self.over == Instant::default() && self.tcp_end().is_some() {
            self.over = self.last;
        }
        self.error = observation.error.or(self.error);
        self.source_mac = self.source_mac.or(observation.source_mac.map(|(mac, _)| mac));
    }

    fn add(&mut self, hook: Hook, reading: &SideReading, is_other: bool) {
        if reading.new.is_zero() {
            return;
        }
        let end = if hook.from_low { &mut self.low } else { &mut self.high };
        end.tcp_flags |= reading.tcp_flags;
        end.traits.merge(reading.traits);
        if let Some(first) = reading.first.or(reading.last) {
            end.begins(first, self.key.protocol, reading.opened_by);
        }
        if let Some(last) = reading.last {
            self.last = self.last.max(last);
        }
        self.hooks.add(hook, reading.new);
        let opens = self.key.protocol == Protocol::TCP && reading.opened_by & tcp_flags::SYN != 0;
        if let Some(first) = reading.first.filter(|_| opens) {
            self.opening(is_other).passes(hook, first);
        }
        if reading.repairs != Repairs::default() {
            self.oddities.get_or_insert_default().add_repairs(hook, reading.repairs);
        }
    }

    /// How it was set up, or the other one of a proxy's two connections.
    fn opening(&mut self, is_other: bool) -> &mut Opening {
        if is_other {
            &mut self.oddities.get_or_insert_default().other_opening
        } else {
            self.opening.get_or_insert_default()
        }
    }

    /// Takes up that one of its packets was dropped, which this end had sent.
    pub(super) fn observe_drop(
        &mut self,
        packet: &DroppedPacket,
        source: Socket,
        place: &DropPlace,
    ) {
        let from_low = source == self.key.low;
        self.oddities.get_or_insert_default().add_drop(packet, place, from_low);
    }

    /// Its packets that were dropped.
    pub(super) fn drops(&self) -> Vec<FlowDrop> {
        let drops = self.oddities.as_ref().map(|odd| odd.drops(self.low_is_client()));
        drops.unwrap_or_default()
    }

    /// Whether an observation is of another flow between the same ports, begun after this one was over.
    ///
    /// What one CPU has seen of the other connection may come before its SYN, and an entry that saw one direction of this one
    /// takes up both of the other: so it is the SYN that counts, and that it came after the end.
    pub(super) fn is_over_before(&self, observation: &Observation) -> bool {
        let opens = |side: &SideReading| {
            let syn = side.opened_by & tcp_flags::SYN != 0 && !side.new.is_zero();
            syn && side.first.is_some_and(|first| first > self.over)
        };
        // What comes later than that may be read before it has been forgotten, or, when nobody was there, before its end was told.
        let until = match &self.stage {
            Stage::Ended(ended) => Some(ended.until),
            Stage::New | Stage::Open => self.tcp_end().map(|_| self.over.after(LINGER)),
        };
        if observation.began().zip(until).is_some_and(|(first, until)| first > until) {
            return true;
        }
        self.tcp_end().is_some() && [observation.ingress, observation.egress].iter().any(opens)
    }

    fn low_is_client(&self) -> bool {
        self.low_is_client.unwrap_or_else(|| low_began(self.key.protocol, self.low, self.high))
    }

    fn client(&self) -> &End {
        if self.low_is_client() { &self.low } else { &self.high }
    }

    fn server(&self) -> &End {
        if self.low_is_client() { &self.high } else { &self.low }
    }

    /// From now on, client and server stay where they are.
    pub(super) fn fix_direction(&mut self) {
        self.low_is_client = Some(self.low_is_client());
    }

    /// Both ends; of a translated connection, those that it has in truth.
    pub(super) fn client_and_server(&self) -> (Socket, Socket) {
        let FlowKey { low, high, .. } = self.key;
        let (client, server) = if self.low_is_client() { (low, high) } else { (high, low) };
        match self.translation() {
            Some(known) if known.is_client(client) => (known.client, known.server),
            Some(known) => (known.server, known.client),
            None => (client, server),
        }
    }

    /// How it is passed on, if it is.
    pub(super) fn translation(&self) -> Option<&Arc<Translation>> {
        self.oddities.as_ref()?.translation.as_ref()
    }

    /// It is passed on in this way. Its names may be others then. One that has ended stays as it was told.
    pub(super) fn translate(&mut self, translation: &Arc<Translation>) -> bool {
        let ended = matches!(self.stage, Stage::Ended(_));
        if ended || self.translation().is_some() {
            return false;
        }
        if matches!(self.stage, Stage::New) {
            self.low_is_client = Some(translation.is_client(self.key.low));
        }
        self.oddities.get_or_insert_default().translation = Some(Arc::clone(translation));
        self.provisional = true;
        true
    }

    /// First packet.
    pub(super) fn first(&self) -> Instant {
        self.low.first().into_iter().chain(self.high.first()).min().unwrap_or_default()
    }

    /// All hooks it crossed.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.hooks.seen(self.low_is_client())
    }

    /// Whether one of its ends sent into this interface.
    pub(super) fn lives_behind(&self, ifindex: u32) -> bool {
        self.hooks.are_behind(ifindex)
    }

    /// client → server and server → client, each packet once.
    pub(super) fn counted(&self) -> (Tally, Tally) {
        let low_is_client = self.low_is_client();
        (self.hooks.counted(low_is_client), self.hooks.counted(!low_is_client))
    }

    /// client → server and server → client, apart from how many packets there were.
    pub(super) fn directions(&self) -> (Direction, Direction) {
        let low_is_client = self.low_is_client();
        let direction = |end: &End, from_low| Direction {
            tcp_flags: end.tcp_flags,
            repairs: self.oddities.as_ref().map(|odd| odd.repairs(from_low)).unwrap_or_default(),
            traits: end.traits,
        };
        (direction(self.client(), low_is_client), direction(self.server(), !low_is_client))
    }

    /// TCP segments that were sent again since this was last asked.
    pub(super) fn newly_retransmitted(&mut self) -> u64 {
        self.oddities.as_mut().map_or(0, |odd| odd.newly_retransmitted())
    }

    /// How the TCP connection was set up; of a proxy's two, the client's if it was seen.
    pub(super) fn handshake(&self) -> Option<Handshake> {
        let low_is_client = self.low_is_client();
        let own = || self.opening.as_ref()?.handshake(low_is_client);
        let other = || self.oddities.as_ref()?.other_opening.handshake(low_is_client);
        let has_masked =
            |known: &Arc<Translation>| [self.key.low, self.key.high].contains(&known.masked);
        if self.translation().is_some_and(has_masked) {
            other().or_else(own)
        } else {
            own().or_else(other)
        }
    }

    /// ICMP echoes that were timed.
    pub(super) fn echoes(&self) -> Echoes {
        self.oddities.as_ref().map(|odd| odd.echoes()).unwrap_or_default()
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
        let server = self.server().tcp_flags;
        let refused =
            server & tcp_flags::RST != 0 && server & tcp_flags::SYN == 0 && self.opened_by_syn();
        Some(if refused { EndReason::Refused } else { EndReason::Reset })
    }

    /// How it ended when nothing came for long.
    pub(super) fn idle_end(&self) -> EndReason {
        let asked = self.opened_by_syn() || self.asks_for_somebody();
        if asked && !self.server().spoke { EndReason::NoAnswer } else { EndReason::Idle }
    }

    /// An ARP request that wants an answer: whoever asks for its own address only announces it (RFC 5227, section 3).
    fn asks_for_somebody(&self) -> bool {
        self.key.protocol == Protocol::ARP && self.key.low.address != self.key.high.address
    }

    /// An established TCP connection may be silent for long.
    pub(super) fn is_established(&self) -> bool {
        self.key.protocol == Protocol::TCP && self.low.spoke && self.high.spoke
    }

    fn opened_by_syn(&self) -> bool {
        self.key.protocol == Protocol::TCP && self.client().tcp_flags & tcp_flags::SYN != 0
    }

    pub(super) fn is_echo(&self) -> bool {
        let echo = |end: &End| {
            !end.spoke
                || matches!(
                    end.icmp_type,
                    ECHO_REQUEST | ECHO_REPLY | ECHO_REQUEST_V6 | ECHO_REPLY_V6
                )
        };
        // ICMP type 0 is an echo reply, but ICMPv6 has no type 0.
        self.key.protocol.is_icmp() && echo(&self.low) && echo(&self.high) && self.key.low.port != 0
    }
}
