//! The events of the golden files.

mod gaps;
mod lives;
mod passed_on;

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use netwatch_common::outcome::Outcome;

use crate::model::{
    Answer, Attachment, Behind, Clock, Container, Direction, DropPlace, Echoes, EndReason,
    Endpoint, EntrySide, FlowDrop, FlowEvent, FlowKey, FlowPhase, FlowRecord, Fold, Gap, Handshake,
    Hint, IcmpError, Instant, Interfaces, LifeEvent, Lookup, Loss, Mac, Name, Protocol, Question,
    Repairs, Sample, SampleEvent, SampledPacket, Seen, Socket, Source, Tally, Traits, Undelivered,
};

pub(super) use lives::lives;

/// An event of any kind.
pub(super) enum Line {
    Flow(Box<FlowEvent>),
    Fold(Box<Fold>),
    Loss(Loss),
    Lookup(Box<Lookup>),
    Sample(Box<SampleEvent>),
    Life(Box<LifeEvent>),
    Gap(Gap),
}

/// 2026-03-01 18:04:05.123456 UTC at the monotonic zero.
pub(super) const CLOCK: Clock = Clock { offset_ns: 1_772_388_245_123_456_000 };

pub(super) const MS: u64 = 1_000_000;

pub(super) fn container(name: &str, image: &str) -> Name {
    let compose = name.strip_prefix("shop-").and_then(|rest| rest.strip_suffix("-1"));
    Name::Container(Arc::new(Container {
        id: format!("{:0<64}", "1f0c9ab2"),
        name: name.to_owned(),
        image: image.to_owned(),
        project: compose.map(|_| "shop".to_owned()),
        service: compose.map(str::to_owned),
        attachments: Vec::new(),
        pid: Some(1),
        namespace: None,
        host_network: false,
        shares_with: None,
        published: Vec::new(),
        shared_by: Vec::new(),
        source: Source::Engine,
    }))
}

pub(super) fn end(name: Name, address: &str, port: u16) -> Endpoint {
    Endpoint { socket: Socket { address: address.parse::<IpAddr>().unwrap(), port }, name }
}

/// An end whose Ethernet address the engine has told.
fn with_mac(mut end: Endpoint, mac: [u8; 6]) -> Endpoint {
    let addresses = vec![end.address()];
    if let Name::Container(container) = &mut end.name {
        let network = Attachment { addresses, mac: Some(Mac(mac)), ..Attachment::default() };
        Arc::make_mut(container).attachments.push(network);
    }
    end
}

pub(super) fn tally(packets: u64, segments: u64, bytes: u64) -> Tally {
    Tally { packets, segments, bytes }
}

/// What one end sent: ordinary packets with these TCP flags.
pub(super) fn sent_with(tcp_flags: u8) -> Direction {
    let traits =
        Traits { largest: 74, ttl_min: 64, ttl_max: 64, dscp: 0, ecn: 1, zero_window: false };
    Direction { tcp_flags, repairs: Repairs::default(), traits }
}

/// A flow without packets, of which each event changes what it is about.
pub(super) fn flow(id: u64, protocol: Protocol, client: Endpoint, server: Endpoint) -> FlowRecord {
    FlowRecord {
        id,
        key: FlowKey::new(client.socket, server.socket, protocol),
        protocol,
        client,
        server,
        behind: None,
        translation: None,
        network: Some("bridge".into()),
        sent: Tally::ZERO,
        received: Tally::ZERO,
        first: Instant(0),
        last: Instant(0),
        echo: false,
        from_client: Direction::default(),
        from_server: Direction::default(),
        handshake: None,
        echoes: Echoes::default(),
        error: None,
        source_mac: None,
        seen: Vec::new(),
        interfaces: Interfaces::default(),
        drops: Vec::new(),
        undelivered: None,
    }
}

fn event(phase: FlowPhase, flow: FlowRecord) -> Line {
    let time = if phase == FlowPhase::Start { flow.first } else { flow.last };
    Line::Flow(Box::new(FlowEvent { time, phase, flow }))
}

fn loss(at: u64, outcome: Outcome, tally: Tally) -> Line {
    Line::Loss(Loss { time: Instant(at), outcome, tally })
}

/// Packets that the kernel gave up.
pub(super) fn dropped(place: DropPlace, from_client: bool, packets: u64) -> FlowDrop {
    FlowDrop { reason: "netfilter-drop".into(), place, ifindex: 9, from_client, packets }
}

fn sample(time: u64, side: EntrySide, len: u32, segments: u32) -> Sample {
    Sample {
        time: Instant(time),
        ifindex: 5,
        side,
        len,
        wire_len: len + (segments - 1) * 66,
        segments,
        gso_size: if segments > 1 { 1_448 } else { 0 },
        rate: 1_000,
        bytes: Bytes::new(),
    }
}

fn sampled(
    sample: Sample,
    network: Option<&str>,
    interface: Option<&str>,
    packet: Result<(Protocol, Endpoint, Endpoint), Outcome>,
) -> Line {
    Line::Sample(Box::new(SampleEvent {
        sample,
        interface: interface.map(str::to_owned),
        network: network.map(Into::into),
        packet: packet.map(|(protocol, source, destination)| SampledPacket {
            protocol,
            source,
            destination,
        }),
    }))
}

/// Sampled packets: one, one that is three on the wire, one that is no packet over IP.
pub(super) fn samples() -> Vec<Line> {
    let web = || end(container("web", "nginx:1.27"), "172.17.0.3", 80);
    let cli = || end(container("cli", "alpine:3.20"), "172.17.0.2", 51_234);
    let line = |sample, packet| sampled(sample, Some("bridge"), Some("veth12ab"), packet);
    vec![
        line(sample(0, EntrySide::Ingress, 74, 1), Ok((Protocol::TCP, cli(), web()))),
        line(sample(2 * MS, EntrySide::Egress, 3_200, 3), Ok((Protocol::TCP, web(), cli()))),
        line(sample(3 * MS, EntrySide::Ingress, 42, 1), Err(Outcome::Arp)),
    ]
}

/// Look-ups of all kinds.
pub(super) fn lookups() -> Vec<Line> {
    let web = || end(container("web", "nginx:1.27"), "172.17.0.3", 40_000);
    let server = || end(Name::External, "9.9.9.9", 53);
    let line = |time, name: &str, kind: &str, answer, took, queries, hint| {
        Line::Lookup(Box::new(Lookup {
            time: Instant(time),
            protocol: Protocol::UDP,
            client: web(),
            server: server(),
            network: Some("bridge".into()),
            question: Some(Question { name: name.to_owned(), kind: kind.to_owned() }),
            answer,
            took,
            queries,
            hint,
        }))
    };
    let answer = |rcode: &'static str, addresses: &[&str]| {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Some(Answer { rcode: rcode.into(), addresses })
    };
    let found = answer("NOERROR", &["192.0.2.7", "192.0.2.8"]);
    let took = |micros| Some(Duration::from_micros(micros));
    vec![
        line(0, "db.example.com", "A", found, took(1_200), 1, None),
        line(MS, "db.example.com", "TYPE65", answer("NOERROR", &[]), took(900), 1, None),
        line(
            2 * MS,
            "mysql01",
            "A",
            answer("NXDOMAIN", &[]),
            took(14_000),
            1,
            Some(Hint::DefaultBridge),
        ),
        line(9_000 * MS, "db.example.com", "AAAA", None, None, 2, None),
    ]
}

/// The same flow when it is over, with everything that can be known of it.
fn finished(started: &FlowRecord) -> FlowRecord {
    let seen = |ifindex, side, from_client, tally| Seen { ifindex, side, from_client, tally };
    let (sent, received) = (tally(6, 6, 420), tally(3, 4, 1_214));
    FlowRecord {
        sent,
        received,
        last: Instant(310 * MS),
        from_client: sent_with(0x1b),
        from_server: Direction {
            repairs: Repairs { retransmitted: 1, out_of_order: 0 },
            ..sent_with(0x1b)
        },
        handshake: Some(Handshake {
            answered: Duration::from_micros(84),
            server: Duration::from_micros(31),
            client: Some(Duration::from_micros(12)),
        }),
        source_mac: Some(Mac([0x02, 0x42, 0xac, 0x11, 0, 2])),
        seen: vec![
            seen(5, EntrySide::Ingress, true, sent),
            seen(5, EntrySide::Egress, false, received),
            seen(7, EntrySide::Egress, true, sent),
            seen(7, EntrySide::Ingress, false, received),
        ],
        interfaces: [(5, "veth12ab".into()), (7, "veth77fe".into())].into(),
        ..started.clone()
    }
}

/// What docs/flow-log.md shows: a day in the life.
pub(super) fn example() -> Vec<Line> {
    let idle = FlowPhase::End(EndReason::Idle);
    let web = || end(container("web", "nginx:1.27"), "172.17.0.3", 80);
    let cli = end(container("cli", "alpine:3.20"), "172.17.0.2", 51_234);
    let (cli, served) =
        (with_mac(cli, [2, 66, 172, 17, 0, 2]), with_mac(web(), [2, 66, 172, 17, 0, 3]));
    let started = FlowRecord {
        from_client: sent_with(0x02),
        sent: tally(1, 1, 74),
        ..flow(1, Protocol::TCP, cli, served)
    };
    let ended = finished(&started);
    let ping = flow(
        2,
        Protocol::ICMP,
        end(container("centos01", "centos:7"), "172.17.0.4", 9),
        end(container("mysql01", "mysql:8"), "172.17.0.5", 9),
    );
    let unanswered = flow(
        3,
        Protocol::TCP,
        end(container("shop-web-1", "shop/web"), "172.18.0.2", 40_112),
        end(container("shop-db-1", "postgres:17"), "172.18.0.3", 5_432),
    );
    let dns = flow(4, Protocol::UDP, web(), end(Name::External, "9.9.9.9", 53));
    let domain = || Name::Domain("db.example.com".into());
    let looked_up = flow(6, Protocol::TCP, web(), end(domain(), "192.0.2.7", 5_432));
    let ssh = flow(
        5,
        Protocol::TCP,
        end(Name::External, "2001:db8::7", 50_000),
        end(Name::Host, "2001:db8::1", 22),
    );

    vec![
        event(FlowPhase::Start, started),
        event(FlowPhase::End(EndReason::Fin), ended),
        event(
            idle,
            FlowRecord {
                sent: tally(2, 2, 196),
                received: tally(2, 2, 196),
                echo: true,
                echoes: Echoes { timed: 2, total: Duration::from_micros(220) },
                first: Instant(400 * MS),
                last: Instant(1_401 * MS),
                ..ping
            },
        ),
        event(
            FlowPhase::End(EndReason::NoAnswer),
            FlowRecord {
                network: Some("shop_default".into()),
                sent: tally(3, 3, 222),
                from_client: sent_with(0x02),
                drops: vec![dropped(DropPlace::Interface("veth12ab".into()), true, 3)],
                undelivered: Some(Undelivered {
                    from_client: 3,
                    from_server: 0,
                    place: Some("br-799426d70aa2".into()),
                }),
                first: Instant(2_000 * MS),
                last: Instant(9_004 * MS),
                ..unanswered
            },
        ),
        event(
            idle,
            FlowRecord {
                sent: tally(1, 1, 74),
                received: tally(1, 1, 130),
                first: Instant(9_100 * MS),
                last: Instant(9_112 * MS),
                ..dns
            },
        ),
        event(
            FlowPhase::Start,
            FlowRecord {
                sent: tally(1, 1, 74),
                first: Instant(9_113 * MS),
                last: Instant(9_113 * MS),
                ..looked_up
            },
        ),
        event(
            FlowPhase::Update,
            FlowRecord {
                network: None,
                sent: tally(900, 900, 81_000),
                received: tally(700, 1_500, 2_100_000),
                source_mac: Some(Mac([2, 0, 0, 0, 0, 9])),
                from_client: sent_with(0x1a),
                from_server: sent_with(0x1a),
                last: Instant(60_000 * MS),
                ..ssh
            },
        ),
        loss(61_000 * MS, Outcome::FlowTableFull, tally(100, 120, 98_304)),
    ]
}

/// The ends of every scale: addresses, reasons, counts.
pub(super) fn corners() -> Vec<Line> {
    let v6 = "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff";
    let veth = |address, port| end(Name::Interface("veth12ab".to_owned()), address, port);
    let external = || end(Name::External, v6, 65_535);
    let host = || end(Name::Host, "172.17.0.1", 22);
    let huge = tally(u64::MAX, u64::MAX, u64::MAX);
    let max = FlowRecord {
        behind: Some(Behind {
            name: "host".into(),
            container_id: "1f0c9ab2".into(),
            port: u16::MAX,
        }),
        sent: huge,
        received: huge,
        last: Instant(u64::MAX),
        from_client: Direction {
            tcp_flags: 0xff,
            repairs: Repairs { retransmitted: u64::MAX, out_of_order: u64::MAX },
            traits: Traits {
                largest: u16::MAX,
                ttl_min: 0,
                ttl_max: u8::MAX,
                dscp: 63,
                ecn: 0x0f,
                zero_window: true,
            },
        },
        from_server: sent_with(0xff),
        seen: vec![Seen {
            ifindex: u32::MAX,
            side: EntrySide::Egress,
            from_client: false,
            tally: huge,
        }],
        drops: vec![
            dropped(DropPlace::Interface("veth12ab".into()), true, u64::MAX - 1),
            dropped(DropPlace::Inside("web".into()), true, 1),
            dropped(DropPlace::Inside("web".into()), false, 2),
        ],
        handshake: Some(Handshake {
            answered: Duration::from_nanos(u64::MAX),
            server: Duration::ZERO,
            client: None,
        }),
        error: Some(IcmpError { kind: u8::MAX, code: u8::MAX }),
        ..flow(u64::MAX, Protocol::TCP, external(), external())
    };
    let mut lines = vec![
        event(
            FlowPhase::End(EndReason::Refused),
            flow(0, Protocol::TCP, veth("172.17.0.3", 40_000), host()),
        ),
        event(FlowPhase::Start, flow(1, Protocol::TCP, veth("fe80::1", 40_000), external())),
        event(
            FlowPhase::Start,
            flow(2, Protocol::ICMPV6, veth("fe80::1", 1), end(Name::Multicast, "ff02::2", 1)),
        ),
        event(
            FlowPhase::Start,
            flow(3, Protocol::UDP, host(), end(Name::Multicast, "224.0.0.251", 5_353)),
        ),
        event(
            FlowPhase::Start,
            flow(4, Protocol::UDP, host(), end(Name::Multicast, "ff02::fb", 5_353)),
        ),
        event(
            FlowPhase::Start,
            flow(5, Protocol::UDP, host(), end(Name::Broadcast, "172.17.255.255", 67)),
        ),
        event(FlowPhase::Start, flow(6, Protocol(132), host(), external())),
        event(FlowPhase::Start, flow(7, Protocol(253), host(), external())),
        event(
            FlowPhase::Start,
            flow(8, Protocol::TCP, end(container("", ""), "172.17.0.9", 1), host()),
        ),
        event(FlowPhase::Update, max.clone()),
        loss(0, Outcome::Arp, Tally::ZERO),
        loss(u64::MAX, Outcome::FlowLimit, huge),
    ];
    lines.extend(gaps::gaps());
    for reason in EndReason::ALL {
        lines.push(event(FlowPhase::End(reason), flow(9, Protocol::TCP, host(), external())));
        lines.push(event(FlowPhase::End(reason), flow(10, Protocol::UDP, host(), external())));
    }
    lines.push(event(FlowPhase::End(EndReason::Fin), max));
    lines.push(sampled(
        sample(0, EntrySide::Ingress, 98, 1),
        Some("x end=fin\n"),
        Some("veth\u{1b}[31m at=y"),
        Ok((Protocol::ICMP, veth("172.17.0.9", 7), external())),
    ));
    lines.push(sampled(
        sample(u64::MAX, EntrySide::Ingress, 0, 1),
        None,
        None,
        Err(Outcome::Truncated),
    ));
    lines.extend(lives::shared());
    lines.extend(passed_on::flows());
    lines
}

/// Names that try to be something else.
pub(super) fn hostile() -> Vec<Line> {
    let names = [
        "web net=bridge end=fin",
        "web:80 -> db:5432",
        "a\n19:04:05.123 start tcp  x:1 -> y:2",
        "red\u{1b}[31m\u{9b}1m\u{7}",
        "rtl\u{202e}gnp.exe\u{2066}",
        "z\u{200b}ero\u{feff}\u{2028}",
        "host",
        "10.0.0.1",
        "quote\"'\\u{20}",
        "e\u{301}́",
        "数据库-café",
        &"long".repeat(100),
    ];
    let asked = names.into_iter().map(|name| {
        let (kind, question) = (name.to_owned(), name.to_owned());
        Line::Lookup(Box::new(Lookup {
            time: Instant(0),
            protocol: Protocol::UDP,
            client: end(container(name, name), "172.17.0.2", 1),
            server: end(Name::Domain(name.into()), "9.9.9.9", 53),
            network: Some(name.into()),
            question: Some(Question { name: question, kind }),
            answer: None,
            took: None,
            queries: 1,
            hint: None,
        }))
    });
    names
        .into_iter()
        .map(|name| {
            let client = end(container(name, name), "172.17.0.2", 1);
            let server = end(Name::Interface(name.to_owned()), "172.17.0.3", 2);
            let network = Some(name.into());
            event(
                FlowPhase::End(EndReason::Idle),
                FlowRecord {
                    network,
                    seen: vec![Seen {
                        ifindex: 5,
                        side: EntrySide::Ingress,
                        from_client: true,
                        tally: Tally::ZERO,
                    }],
                    interfaces: [(5, name.into())].into(),
                    ..flow(1, Protocol::UDP, client, server)
                },
            )
        })
        .chain(asked)
        .chain(names.into_iter().map(lives::hostile_life))
        .collect()
}
