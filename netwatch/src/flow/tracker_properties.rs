//! What holds whatever the hooks hand over, in whatever order and however seldom anybody looks.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use netwatch_common::parse::tcp_flags::{ACK, FIN, RST, SYN};
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    flow::Names,
    model::{
        Echoes, EdgeTraffic, FlowEvent, FlowPhase, Name, Protocol, Seen, SideReading, Socket,
        Translator,
    },
};

const IDLE: Duration = Duration::from_secs(15);
/// Shorter than `IDLE`, so that there are many updates.
const ACTIVE: Duration = Duration::from_secs(5);
const MAX_FLOWS: usize = 6;
/// Few enough for some to be folded.
const MAX_EDGES: usize = 3;
const START: u64 = 1_000_000_000_000;

/// What one hook saw; times in milliseconds, back from now.
#[derive(Clone, Copy, Debug)]
struct Side {
    packets: u64,
    first: Option<u64>,
    last: u64,
    tcp_flags: u8,
    opened_by: u8,
}

/// What one interface saw.
#[derive(Clone, Copy, Debug)]
struct Passing {
    ifindex: u32,
    hosts: (u8, u8),
    server_is_local: bool,
    protocol: Protocol,
    ingress: Side,
    egress: Side,
    fresh: bool,
    is_inner: bool,
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Observe(Passing),
    Tick {
        after_ms: u64,
    },
    Gone {
        ifindex: u32,
    },
    /// Of client and called host, what they are as server and to the server.
    Translate {
        hosts: (u8, u8),
        others: (u8, u8),
        protocol: Protocol,
    },
    AsIs {
        hosts: (u8, u8),
        protocol: Protocol,
    },
    /// The agent is replaced by another one.
    Restart,
}

fn side() -> impl Strategy<Value = Side> {
    let flags = || prop::sample::select(vec![SYN, SYN | ACK, ACK, FIN | ACK, RST, SYN | ACK | FIN]);
    (0..4_u64, prop::option::of(0..300_u64), 0..300_u64, flags(), flags()).prop_map(
        |(packets, first, last, tcp_flags, opened_by)| Side {
            packets,
            first: first.map(|before_last| last + before_last),
            last,
            tcp_flags,
            opened_by,
        },
    )
}

fn observe(protocols: Vec<Protocol>) -> impl Strategy<Value = Action> {
    let which = (1..4_u32, (1..4_u8, 4..7_u8), any::<bool>(), prop::sample::select(protocols));
    (which, side(), side(), any::<bool>(), prop::bool::weighted(0.1)).prop_map(
        |((ifindex, hosts, server_is_local, protocol), ingress, egress, fresh, is_inner)| {
            Action::Observe(Passing {
                ifindex,
                hosts,
                server_is_local,
                protocol,
                ingress,
                egress,
                fresh,
                is_inner,
            })
        },
    )
}

fn tick() -> impl Strategy<Value = Action> {
    let pause = prop_oneof![4 => 0..2_000_u64, 2 => 4_000..17_000_u64, 1 => 59_000..400_000_u64];
    pause.prop_map(|after_ms| Action::Tick { after_ms })
}

/// With connections, whose last packets may come after their end, or without.
fn actions() -> impl Strategy<Value = (bool, Vec<Action>)> {
    any::<bool>().prop_flat_map(|has_tcp| {
        let other = if has_tcp { Protocol::TCP } else { Protocol::ICMPV6 };
        let protocols = vec![other, Protocol::UDP, Protocol::ICMP, Protocol::ARP];
        let gone = (1..4_u32).prop_map(|ifindex| Action::Gone { ifindex });
        let hosts = || (1..4_u8, 4..7_u8);
        let translate = (hosts(), hosts(), prop::sample::select(protocols.clone()))
            .prop_map(|(hosts, others, protocol)| Action::Translate { hosts, others, protocol });
        let as_is = (hosts(), prop::sample::select(protocols.clone()))
            .prop_map(|(hosts, protocol)| Action::AsIs { hosts, protocol });
        let observe = observe(protocols);
        let restart = Just(Action::Restart);
        let action = prop_oneof![
            12 => observe, 4 => tick(), 1 => gone, 2 => translate, 1 => as_is, 1 => restart
        ];
        (Just(has_tcp), vec(action, 1..120))
    })
}

/// A tracker, and all that went in and came out.
struct Run {
    tracker: Tracker,
    now: Instant,
    events: Vec<FlowEvent>,
    /// Packets outside of tunnels, and all.
    offered: (Tally, Tally),
    /// Hosts whose names are known later than at once.
    nameless: u8,
    max_flows: usize,
}

impl Run {
    fn new(max_flows: usize, nameless: u8) -> Self {
        let limits = Limits { idle: IDLE, active: ACTIVE, max_flows };
        Self {
            tracker: Tracker::new(limits, Edges::new(MAX_EDGES)),
            now: Instant(START),
            events: Vec::new(),
            offered: (Tally::ZERO, Tally::ZERO),
            nameless,
            max_flows,
        }
    }

    fn take(&mut self, action: &Action) {
        match *action {
            Action::Observe(passing) => {
                let observation = self.observation(&passing);
                let new = observation.ingress.new + observation.egress.new;
                self.offered.1 += new;
                if !passing.is_inner {
                    self.offered.0 += new;
                }
                self.tracker.see(&observation);
            }
            Action::Tick { after_ms } => {
                self.now = self.now.after(Duration::from_millis(after_ms));
                self.step(Tracker::tick);
            }
            Action::Gone { ifindex } => self.step(|tracker, now, name, report| {
                tracker.interface_gone(ifindex, now, name, report);
            }),
            Action::Restart => self.restart(),
            Action::Translate { hosts, others, protocol } if hosts != others => {
                self.tracker.translate(Translation {
                    protocol,
                    client: client(hosts.0),
                    called: server(hosts.1),
                    server: server(others.1),
                    masked: client(others.0),
                    by: Translator::Kernel,
                });
            }
            Action::Translate { hosts, protocol, .. } | Action::AsIs { hosts, protocol } => {
                let key = FlowKey::new(client(hosts.0), server(hosts.1), protocol);
                self.tracker.pass_on_as_is(&key);
            }
        }
    }

    /// Another tracker goes on, with what this one has kept. Were that nothing, packets would be missing.
    fn restart(&mut self) {
        let bytes = postcard::to_allocvec(&self.tracker.keep()).unwrap_or_default();
        self.tracker = Self::new(self.max_flows, self.nameless).tracker;
        self.tracker.restore(postcard::from_bytes(&bytes).unwrap_or_default(), true);
    }

    fn observation(&self, passing: &Passing) -> Observation {
        let Passing { ifindex, hosts, protocol, fresh, is_inner, .. } = *passing;
        let (client, server) = (client(hosts.0), server(hosts.1));
        let (local, remote) =
            if passing.server_is_local { (server, client) } else { (client, server) };
        let before = |ms: u64| Instant(self.now.0 - ms * 1_000_000);
        let reading = |side: Side| SideReading {
            new: Tally {
                packets: side.packets,
                segments: side.packets * 2,
                bytes: side.packets * 100,
            },
            first: side.first.filter(|_| side.packets > 0).map(before),
            last: (side.packets > 0).then(|| before(side.last)),
            tcp_flags: side.tcp_flags,
            opened_by: side.opened_by,
            ..SideReading::default()
        };
        Observation {
            ifindex,
            local,
            remote,
            protocol,
            is_inner,
            ingress: reading(passing.ingress),
            egress: reading(passing.egress),
            fresh,
            acknowledged: None,
            echoes: Echoes::default(),
            error: None,
            source_mac: None,
        }
    }

    fn step(
        &mut self,
        step: impl FnOnce(
            &mut Tracker,
            Instant,
            &mut dyn FnMut(&Unnamed<'_>) -> Naming,
            &mut dyn FnMut(&Report<'_>),
        ),
    ) {
        let Self { tracker, now, events, nameless, .. } = self;
        let mut name = |flow: &Unnamed<'_>| {
            let name = |socket: Socket| Name::Interface(socket.address.to_string());
            let (client, server) = (name(flow.client), name(flow.server));
            let hosts = [flow.client, flow.server].map(|end| end.address);
            let waits = hosts.contains(&[172, 17, 0, *nameless].into()) && !now.0.is_multiple_of(7);
            if waits {
                Naming::Provisional(Names {
                    client,
                    server: Name::External,
                    behind: None,
                    network: None,
                })
            } else {
                Naming::Final(Names { client, server, behind: None, network: None })
            }
        };
        step(tracker, *now, &mut name, &mut |report| events.push(report.event()));
    }

    fn count(&self, wanted: impl Fn(FlowPhase) -> bool) -> u64 {
        self.events.iter().filter(|event| wanted(event.phase)).count() as u64
    }
}

fn client(host: u8) -> Socket {
    Socket { address: [172, 17, 0, host].into(), port: 40_000 }
}

fn server(host: u8) -> Socket {
    Socket { address: [172, 17, 0, host].into(), port: 80 }
}

fn is_end(phase: FlowPhase) -> bool {
    matches!(phase, FlowPhase::End(reason) if reason != EndReason::Late)
}

fn is_late(phase: FlowPhase) -> bool {
    phase == FlowPhase::End(EndReason::Late)
}

fn sum_of_edges(edges: &Edges) -> EdgeTraffic {
    let mut sum = EdgeTraffic::default();
    for (_, traffic) in edges.snapshot() {
        sum.sent += traffic.sent;
        sum.received += traffic.received;
        sum.connections += traffic.connections;
    }
    sum
}

fn largest(seen: &[Seen], from_client: bool) -> Tally {
    let hooks = seen.iter().filter(|seen| seen.from_client == from_client);
    hooks.fold(Tally::ZERO, |most, seen| most.max(seen.tally))
}

proptest! {
    #[test]
    fn every_packet_is_in_one_flow_and_every_flow_starts_and_ends_once(
        (has_tcp, actions) in actions(),
        max_flows in prop::sample::select(vec![MAX_FLOWS, 1000]),
        nameless in 0..8_u8,
    ) {
        let mut run = Run::new(max_flows, nameless);
        let mut edges = EdgeTraffic::default();
        for action in &actions {
            run.take(action);
            let totals = run.tracker.totals();
            prop_assert_eq!(totals.counted + run.tracker.over_limit(), run.offered.0);
            let (starts, ends) = (run.count(|phase| phase == FlowPhase::Start), run.count(is_end));
            prop_assert_eq!(totals.started, starts);
            prop_assert_eq!(totals.ended.iter().map(|(_, flows)| flows).sum::<u64>(), ends);
            prop_assert!(totals.active >= starts - ends, "some have not been told of yet");
            let now = sum_of_edges(run.tracker.edges());
            prop_assert_eq!(now.sent.since(edges.sent) + edges.sent, now.sent, "never less");
            prop_assert!(now.connections >= edges.connections && now.connections <= starts);
            edges = now;
        }
        run.step(Tracker::finish);
        prop_assert_eq!(run.tracker.totals().active, 0);
        prop_assert_eq!(run.count(is_end), run.count(|phase| phase == FlowPhase::Start));

        let (mut told, mut passed) = (EdgeTraffic::default(), Tally::ZERO);
        let mut flows = BTreeMap::<u64, Vec<&FlowEvent>>::new();
        for event in &run.events {
            flows.entry(event.flow.id).or_default().push(event);
        }
        for events in flows.values() {
            let late = events.iter().filter(|event| is_late(event.phase)).count();
            let (before, end) = events.split_at(events.len() - late - 1);
            prop_assert!(late <= 1 && is_end(end[0].phase) && !before.is_empty());
            prop_assert_eq!(before[0].phase, FlowPhase::Start);
            prop_assert!(before[1..].iter().all(|event| event.phase == FlowPhase::Update));
            prop_assert!(end[0].time >= before[0].time);
            for event in end {
                told.sent += event.flow.sent;
                told.received += event.flow.received;
            }
            told.connections += 1;
            let seen = &events[events.len() - 1].flow.seen;
            let all = |from_client| {
                end.iter().fold(Tally::ZERO, |sum, event| {
                    sum + if from_client { event.flow.sent } else { event.flow.received }
                })
            };
            prop_assert_eq!(all(true), largest(seen, true));
            prop_assert_eq!(all(false), largest(seen, false));
            passed = seen.iter().fold(passed, |sum, seen| sum + seen.tally);
        }
        prop_assert_eq!(sum_of_edges(run.tracker.edges()), told);
        if max_flows > MAX_FLOWS && !has_tcp {
            prop_assert_eq!(passed, run.offered.1, "each packet at each hook in one flow");
        }
    }

    /// Against a model that looks at every flow at every tick.
    #[test]
    fn a_tick_finds_all_that_is_due(
        actions in vec(prop_oneof![3 => observe(vec![Protocol::UDP]), 2 => tick()], 1..120),
    ) {
        let mut run = Run::new(MAX_FLOWS, 0);
        // By the ends: the last packet, and when the last line was due.
        let mut open = BTreeMap::<(u8, u8), (Instant, Instant)>::new();
        for action in &actions {
            run.events.clear();
            if let Action::Observe(passing) = action {
                let hosts = &passing.hosts;
                let seen = run.observation(passing);
                let sides = [seen.ingress, seen.egress];
                let last = sides.iter().filter_map(|side| side.last).max();
                let first = sides.iter().filter_map(|side| side.first.or(side.last)).min();
                let has_room = open.len() < MAX_FLOWS || open.contains_key(hosts);
                if let (Some(first), Some(last), true) = (first, last, has_room) {
                    let known = open.entry(*hosts).or_insert((last, first));
                    known.0 = known.0.max(last);
                }
            }
            run.take(action);
            if matches!(action, Action::Tick { .. }) {
                let now = run.now;
                let (mut ended, mut updated) = (BTreeSet::new(), BTreeSet::new());
                open.retain(|ends, (last, reported)| {
                    if now.since(*last) >= IDLE {
                        ended.insert(*ends);
                    } else if now.since(*reported) >= ACTIVE && last > reported {
                        *reported = now;
                        updated.insert(*ends);
                    }
                    !ended.contains(ends)
                });
                prop_assert_eq!(told(&run.events, FlowPhase::End(EndReason::Idle)), ended);
                prop_assert_eq!(told(&run.events, FlowPhase::Update), updated);
            }
            prop_assert_eq!(run.tracker.totals().active, open.len() as u64);
        }
    }
}

/// The ends of the flows that there is such a line of.
fn told(events: &[FlowEvent], phase: FlowPhase) -> BTreeSet<(u8, u8)> {
    let host = |socket: Socket| match socket.address {
        std::net::IpAddr::V4(address) => address.octets()[3],
        std::net::IpAddr::V6(_) => 0,
    };
    let wanted = events.iter().filter(|event| event.phase == phase);
    wanted.map(|event| (host(event.flow.key.low), host(event.flow.key.high))).collect()
}
