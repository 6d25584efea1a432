//! A snapshot in which every figure is there, and different.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;

use netwatch_common::outcome::Outcome;

use crate::model::{
    AgentStatus, AttachStatus, Attachment, Container, ContainerSizes, ContainerTraffic, DnsCounts,
    DropTotal, Edge, EdgeTraffic, EndReason, EntrySide, Exemplar, Feature, FlowTotals, Instant,
    Interface, InterfaceCounters, InterfaceKind, InterfaceSnapshot, InterfaceTally, OutOfSight,
    ProcessStatus, ProgramRuns, Protocol, ReaderStatus, RingStatus, Sample, ScrapeStatus, Shares,
    SizeHistogram, Snapshot, Source, StageStatus, Tally, TimeHistogram, Times, UndeliveredTotal,
    Unseen, WallTime, WebStatus,
};

pub(super) fn tally(packets: u64, segments: u64, bytes: u64) -> Tally {
    Tally { packets, segments, bytes }
}

pub(super) fn container(name: &str) -> Container {
    Container {
        id: format!("{name}-id"),
        name: name.to_owned(),
        image: "nginx:1.27".to_owned(),
        project: Some("shop".to_owned()),
        service: Some("web".to_owned()),
        attachments: vec![Attachment {
            network: "shop_default".to_owned(),
            network_id: "f00d".to_owned(),
            addresses: vec![[172, 18, 0, 2].into(), "fd00::2".parse().unwrap()],
            mac: None,
        }],
        pid: Some(4711),
        namespace: None,
        host_network: false,
        shares_with: None,
        published: Vec::new(),
        shared_by: Vec::new(),
        source: Source::Engine,
    }
}

pub(super) fn interface(index: u32, name: &str) -> InterfaceSnapshot {
    InterfaceSnapshot {
        interface: Interface {
            index,
            name: name.to_owned(),
            kind: InterfaceKind::Veth,
            master: None,
            peer_namespace: None,
            mac: None,
        },
        container: Some(Arc::new(container("web"))),
        network: Some("shop_default".into()),
        counters: InterfaceCounters {
            receive: InterfaceTally { tally: tally(10, 20, 3_000), link_bytes: 2_500 },
            transmit: InterfaceTally { tally: tally(11, 21, 4_000), link_bytes: 3_500 },
        },
    }
}

pub(super) fn traffic(container: &str) -> ContainerTraffic {
    ContainerTraffic {
        container: container.into(),
        network: "shop_default".into(),
        receive: tally(1, 2, 300),
        transmit: tally(4, 5, 600),
    }
}

/// One sample of three segments of 1,014 bytes, at 1 in 10.
pub(super) fn sizes(container: &str) -> ContainerSizes {
    let mut histogram = SizeHistogram::default();
    histogram.add(&Sample {
        time: Instant(0),
        ifindex: 7,
        side: EntrySide::Ingress,
        len: 3_014,
        wire_len: 3_042,
        segments: 3,
        gso_size: 1_000,
        rate: 10,
        bytes: Bytes::new(),
    });
    ContainerSizes {
        container: container.into(),
        network: "shop_default".into(),
        receive: histogram,
        transmit: SizeHistogram::default(),
    }
}

fn dns(client: &str) -> (Arc<str>, DnsCounts) {
    let responses = BTreeMap::from([("NOERROR".into(), 30), ("NXDOMAIN".into(), 3)]);
    (client.into(), DnsCounts { queries: 34, responses })
}

pub(super) fn edge(client: &str, protocol: Option<Protocol>, port: u16) -> (Edge, EdgeTraffic) {
    let edge = Edge { client: client.into(), server: "db".into(), protocol, port };
    (
        edge,
        EdgeTraffic {
            sent: tally(1, 7, 700),
            received: tally(2, 8, 800),
            connections: 3,
            retransmitted: 2,
        },
    )
}

pub(super) fn full() -> Snapshot {
    Snapshot {
        interfaces: vec![interface(7, "veth12ab")],
        other_interfaces: Some(interface(8, "veth34cd").counters),
        folded: [("container", 2), ("interface", 1)],
        shares: Shares::of(10_000),
        containers: vec![traffic("web")],
        sizes: vec![sizes("web")],
        dns: vec![dns("web")],
        known: vec![Arc::new(container("web"))],
        labelled: Arc::new(HashMap::from([("web".into(), Arc::new(container("web")))])),
        out_of_sight: vec![(
            Arc::new(container("web")),
            OutOfSight { reason: Unseen::Macvlan, network: Some("lan".into()) },
        )],
        edges: vec![
            edge("web", Some(Protocol::TCP), 5432),
            edge("web", Some(Protocol::ICMP), 0),
            edge("x", None, 9),
        ],
        edges_folded: 12,
        dropped: vec![DropTotal {
            container: "web".into(),
            reason: "netfilter-drop".into(),
            place: "veth".into(),
            packets: 26,
        }],
        undelivered: vec![UndeliveredTotal {
            container: "web".into(),
            place: "br-shop".into(),
            packets: 27,
            last: Exemplar { flow: 4_711, value: 3.0, time: WallTime(1_520_879_607_789_000_000) },
        }],
        times: Times {
            handshakes: vec![("db".into(), times())],
            echoes: vec![("db".into(), times())],
            lookups: vec![("web".into(), times())],
        },
        seen: tally(90, 100, 10_000),
        outcomes: vec![
            (Outcome::Arp, tally(6, 6, 252)),
            (Outcome::FlowTableFull, tally(3, 4, 748)),
        ],
        flows: FlowTotals {
            active: 5,
            started: 15,
            ended: vec![(EndReason::Fin, 8), (EndReason::NoAnswer, 2)],
            counted: tally(81, 90, 9_000),
        },
        agent: AgentStatus {
            engine_up: Some(true),
            attach: AttachStatus {
                attached: 3,
                seconds_buckets: vec![(0.001, 1), (0.01, 4), (0.1, 5)],
                seconds_sum: 0.0625,
                seconds_count: 6,
                failures: 1,
                detached_by_others: 47,
                gap_packets: 2,
            },
            features: vec![
                Feature::available("drops"),
                Feature::lacking("drop_reasons", "this kernel tells none"),
            ],
            conntrack_overruns: 29,
            link_overruns: 46,
            away: Duration::from_millis(2_500),
            programs: vec![ProgramRuns {
                program: "ingress",
                runs: 50,
                time: Duration::from_micros(1500),
            }],
            flow_entries: (40, 65_536),
            map_bytes: 1 << 20,
            rings: vec![RingStatus { ring: "samples", used: 4_096, size: 524_288 }],
            evictions: 21,
            samples: 22,
            samples_lost: 23,
            messages: 26,
            messages_lost: [("rate-limit", 27), ("ring-full", 28), ("unreadable", 29)],
            drop_details_lost: 27,
            drops_missed: 28,
            log_up: Some(true),
            log_lines: 24,
            log_lines_lost: 25,
            journal_lines_lost: 35,
            log_rotations: 26,
            readers: ReaderStatus { connected: 2, refused: 3, lines: 1_000, lost: 4 },
            scrape: ScrapeStatus {
                scrapes: 5,
                time: Duration::from_millis(20),
                age: Duration::from_millis(3),
            },
            stages: vec![StageStatus {
                stage: "reading",
                runs: 7,
                time: Duration::from_millis(21),
            }],
            process: Some(process()),
            web: web(),
        },
    }
}

fn web() -> WebStatus {
    WebStatus {
        requests: vec![(200, 40), (401, 2), (0, 1)],
        displaced: 3,
        cut: 6,
        handshakes_failed: 4,
        settings_failed: 5,
        settings_good: Some(true),
    }
}

fn process() -> ProcessStatus {
    ProcessStatus {
        cpu_seconds: 1.5,
        started: 1_520_879_607.0,
        virtual_bytes: 1 << 30,
        resident_bytes: 1 << 25,
        open_fds: 40,
        max_fds: 1_024,
    }
}

fn times() -> TimeHistogram {
    let mut times = TimeHistogram::default();
    let of = Some((4_711, WallTime(1_520_879_607_789_000_000)));
    times.add(Duration::from_micros(600), of);
    times.add(Duration::from_secs(12), of);
    times.add(Duration::from_secs(1), None);
    times
}
