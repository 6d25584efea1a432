//! A tracker with everything in it that can be kept: no two figures are the same, as far as that can be.

use std::time::Duration;

use netwatch_common::parse::{
    ECHO_REPLY, ECHO_REQUEST,
    tcp_flags::{ACK, FIN, RST, SYN},
};

use crate::{
    flow::{Edges, Limits, Names, Naming, Tracker, Unnamed},
    model::{
        DropPlace, DropSite, DroppedPacket, Echoes, EndReason, EntrySide, IcmpError, Instant, Mac,
        Name, Observation, Protocol, Repairs, SideReading, Socket, Tally, Traits, Translation,
        Translator,
    },
};

const SECOND: u64 = 1_000_000_000;
/// Conversations that one tracker has room for: those that go on, and no more.
const ROOM: usize = 9;
/// Veths with a container behind them.
const CLIENT: u32 = 300;
const SERVER: u32 = 70_000;
const PROXY: [u8; 4] = [172, 17, 0, 1];

/// One with an empty table.
pub(super) fn empty() -> Tracker {
    let limits =
        Limits { idle: Duration::from_secs(15), active: Duration::from_mins(1), max_flows: ROOM };
    Tracker::new(limits, Edges::new(7))
}

/// Whoever has an address is named by it.
pub(super) fn name(flow: &Unnamed<'_>) -> Naming {
    let by = |socket: Socket| Name::Interface(socket.address.to_string());
    let (client, server) = (by(flow.client), by(flow.server));
    Naming::Final(Names { client, server, behind: None, network: None })
}

impl Tracker {
    /// With everything in it: conversations that an earlier agent had, those since, and some that have ended.
    pub(crate) fn example() -> Self {
        let mut first = empty();
        for (number, reason) in EndReason::ALL.iter().enumerate() {
            (0..=2 * number).for_each(|_| first.one_that_ends(*reason));
        }
        first.open_all();
        let bytes = postcard::to_allocvec(&first.keep()).unwrap();
        let mut second = empty();
        second.restore(postcard::from_bytes(&bytes).unwrap(), true);
        second.go_on();
        second
    }

    fn step(&mut self, at: u64) {
        self.tick(Instant(at * SECOND), &mut |flow| name(flow), &mut |_| {});
    }

    /// One of which nothing is left but sums.
    fn one_that_ends(&mut self, reason: EndReason) {
        let tcp = |opened, answered| {
            let (sent, received) = (reading(5, 1, opened), reading(4, 1, answered));
            between(Protocol::TCP, [2, 40_000], [3, 80], [sent, received])
        };
        let udp = between(Protocol::UDP, [4, 5353], [5, 53], [reading(3, 1, 0), reading(2, 1, 0)]);
        let observation = match reason {
            EndReason::Fin => tcp(SYN | ACK | FIN, SYN | ACK | FIN),
            EndReason::Reset => tcp(SYN | ACK, SYN | RST),
            EndReason::Refused => tcp(SYN, RST),
            EndReason::NoAnswer => Observation { egress: SideReading::default(), ..tcp(SYN, 0) },
            EndReason::Idle | EndReason::Gone | EndReason::Shutdown => udp,
            EndReason::Late => return,
        };
        self.see(&observation);
        self.step(2);
        let name = &mut |flow: &Unnamed<'_>| name(flow);
        match reason {
            EndReason::Gone => self.interface_gone(CLIENT, Instant(2 * SECOND), name, &mut |_| {}),
            EndReason::Shutdown => self.finish(Instant(2 * SECOND), name, &mut |_| {}),
            _ => [20, 30, 60].into_iter().for_each(|at| self.step(at)),
        }
    }

    /// One of each kind, told to have started.
    fn open_all(&mut self) {
        for by in [Translator::Kernel, Translator::Proxy] {
            self.translate(translation(by));
            for observation in translated(by) {
                self.see(&observation);
            }
        }
        self.see(&web(true));
        self.see(&Observation {
            echoes: Echoes { timed: 200, total: Duration::from_micros(40_001) },
            ..between(
                Protocol::ICMP,
                [2, 17],
                [3, 17],
                [reading(210, 61, ECHO_REQUEST), reading(200, 61, ECHO_REPLY)],
            )
        });
        self.see(&v6());
        let all = [reading(7, 61, SYN | ACK | FIN), reading(6, 61, SYN | ACK | FIN)];
        self.see(&between(Protocol::TCP, [2, 40_001], [3, 81], all));
        self.step(65);
        for (reason, site, place) in [
            ("netfilter-drop", DropSite::Host { ifindex: 301 }, DropPlace::Interface("br".into())),
            (
                "tcp-overwindow",
                DropSite::Inside { namespace: 5, ifindex: 0 },
                DropPlace::Inside("db".into()),
            ),
        ] {
            let of = web(true);
            let packet = DroppedPacket {
                source: of.local,
                destination: of.remote,
                protocol: of.protocol,
                reason: reason.into(),
                site,
            };
            self.observe_drop(&packet, &place);
        }
    }

    /// In the hands of the second agent.
    fn go_on(&mut self) {
        self.see(&web(false));
        // Of one, nobody knows yet to which edge it will go.
        let name = &mut |flow: &Unnamed<'_>| match name(flow) {
            Naming::Final(names) if flow.client.address.is_ipv6() => Naming::Provisional(names),
            naming => naming,
        };
        self.tick(Instant(66 * SECOND), name, &mut |_| {});
        // The ports of one that has ended, taken up by another, and one of which nobody has been told.
        let again = [reading(2, 67, SYN), reading(1, 67, SYN | ACK)];
        self.see(&between(Protocol::TCP, [2, 40_001], [3, 81], again));
        self.see(&between(
            Protocol::UDP,
            [9, 1_000],
            [3, 9],
            [reading(8, 67, 0), SideReading::default()],
        ));
        while self.over_limit().is_zero() {
            let port = 1_001 + u16::try_from(self.next_id).unwrap();
            let sent = [reading(11, 67, 0), SideReading::default()];
            self.see(&between(Protocol::UDP, [9, port], [3, 9], sent));
        }
    }
}

/// Of a flow that began in this second, so many packets in the second after it.
fn reading(packets: u64, at: u64, opened_by: u8) -> SideReading {
    SideReading {
        new: Tally { packets, segments: packets * 3, bytes: packets * 1_001 },
        first: Some(Instant(at * SECOND + packets)),
        last: Some(Instant((at + 1) * SECOND + packets)),
        tcp_flags: opened_by,
        opened_by,
        repairs: Repairs::default(),
        traits: Traits {
            largest: 1_514,
            ttl_min: 200 + u8::try_from(packets % 10).unwrap(),
            ttl_max: 255,
            dscp: 46,
            ecn: 3,
            zero_window: packets.is_multiple_of(2),
        },
    }
}

fn socket(host: u8, port: u16) -> Socket {
    Socket { address: [172, 17, 0, host].into(), port }
}

/// What the veth of a client has seen: what it sent, and what it received.
fn between(
    protocol: Protocol,
    [client, from]: [u16; 2],
    [server, to]: [u16; 2],
    [ingress, egress]: [SideReading; 2],
) -> Observation {
    let host = |number: u16| u8::try_from(number).unwrap();
    Observation {
        ifindex: CLIENT,
        local: socket(host(client), from),
        remote: socket(host(server), to),
        protocol,
        is_inner: false,
        ingress,
        egress,
        fresh: true,
        acknowledged: None,
        echoes: Echoes::default(),
        error: None,
        source_mac: None,
    }
}

/// A connection of which everything is known. `opens`: as it begins; otherwise what came later.
fn web(opens: bool) -> Observation {
    let repairs = |retransmitted, out_of_order| Repairs { retransmitted, out_of_order };
    let (mut sent, mut received) = (reading(150, 61, SYN), reading(149, 61, SYN | ACK));
    (sent.repairs, received.repairs) = (repairs(3, 4), repairs(5, 6));
    if !opens {
        (sent.first, received.first) = (None, None);
    }
    Observation {
        acknowledged: Some(Instant(61 * SECOND + 900)),
        error: Some(IcmpError { kind: 203, code: 204 }),
        source_mac: Some((Mac([2, 66, 172, 17, 0, 254]), EntrySide::Ingress)),
        ..between(Protocol::TCP, [2, 40_000], [3, 80], [sent, received])
    }
}

/// A conversation over IPv6, of which the veth of the server tells.
fn v6() -> Observation {
    let end = |host: u16, port| Socket { address: [0xfd00, 0, 0, 0, 0, 0, 0, host].into(), port };
    Observation {
        ifindex: SERVER,
        local: end(3, 53),
        remote: end(2, 5353),
        ..between(Protocol::UDP, [0, 0], [0, 0], [reading(12, 64, 0), reading(13, 64, 0)])
    }
}

/// A published port that is passed on by the kernel or by a proxy.
fn translation(by: Translator) -> Translation {
    let (client, called, server, masked) = match by {
        Translator::Kernel => (51_000, 8_080, 80, 51_000),
        Translator::Proxy => (52_000, 8_081, 81, 52_001),
    };
    let outside = |port| Socket { address: [192, 0, 2, 7].into(), port };
    let proxy = |port| Socket { address: PROXY.into(), port };
    Translation {
        protocol: Protocol::TCP,
        client: outside(client),
        called: Socket { address: [192, 0, 2, 1].into(), port: called },
        server: socket(3, server),
        masked: if by == Translator::Proxy { proxy(masked) } else { outside(masked) },
        by,
    }
}

/// Both of its legs, as far as they differ.
fn translated(by: Translator) -> [Observation; 2] {
    let Translation { client, called, server, masked, .. } = translation(by);
    let sides = |packets| [reading(packets, 61, SYN), reading(packets + 1, 61, SYN | ACK)];
    let outer = Observation {
        local: called,
        remote: client,
        ..between(Protocol::TCP, [0, 0], [0, 0], sides(21))
    };
    let inner = Observation {
        ifindex: SERVER,
        local: server,
        remote: masked,
        ..between(Protocol::TCP, [0, 0], [0, 0], sides(31))
    };
    [outer, inner]
}
