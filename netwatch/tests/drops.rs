//! The program that explains drops, in the kernel: what it counts against what the kernel and iptables count.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::unix::fs::MetadataExt as _,
    thread,
};

use netwatch::{
    datapath::{AttachMode, Datapath, Options},
    model::{DropSite, DroppedPacket, InterfaceKind, Protocol},
};
use netwatch_common::drop::{DETAIL_COST_NS, DETAIL_CREDIT_NS, DROP_KEYS};
use support::{
    netns::{in_namespace, in_new_namespace, own},
    shell::run,
};

/// The loopback device of a new namespace.
const LO: u32 = 1;
const HOST: DropSite = DropSite::Host { ifindex: LO };
/// Nobody listens at these ports of a new namespace.
const CLOSED: u16 = 9;
const FILTERED: u16 = 10;

/// Loads the programs in a new namespace, with its loopback device up and observed.
fn with_datapath(body: impl FnOnce(&mut Datapath) + Send + 'static) {
    in_new_namespace(move || {
        run("ip", &["link", "set", "lo", "up"]);
        let mut datapath = Datapath::load(&Options {
            flow_entries: 1 << 14,
            sample_rate: 0,
            sample_length: 128,
            dns_rate: 0,
            exclusion: netwatch::model::Exclusion::default(),
            attach_mode: AttachMode::Auto,
            messages: false,
            pins: None,
            inheritance: None,
        })
        .expect("loads");
        let lacking = datapath
            .features()
            .find(|feature| feature.name.starts_with("drop") && !feature.is_available());
        assert_eq!(lacking, None, "these tests need a kernel that tells reasons");
        datapath.attach(LO, "lo", InterfaceKind::Veth).expect("attaches");
        body(&mut datapath);
    });
}

/// Drops by reason and place; `None` for those beyond the counters.
fn counts(datapath: &mut Datapath) -> BTreeMap<(String, String), u64> {
    let mut counts = BTreeMap::new();
    datapath.read_drop_counts(|count| {
        let site = format!("{:?}", count.site);
        *counts.entry((count.reason.to_string(), site)).or_default() += count.packets;
    });
    counts
}

fn one(reason: &str, site: DropSite, packets: u64) -> BTreeMap<(String, String), u64> {
    BTreeMap::from([((reason.to_owned(), format!("{:?}", Some(site))), packets)])
}

fn packets(datapath: &mut Datapath) -> Vec<DroppedPacket> {
    datapath.refresh_clock();
    datapath.read_dropped_packets()
}

fn send(count: usize, port: u16) -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for _ in 0..count {
        // iptables refuses what is sent with an error.
        let _ = socket.send_to(b"x", (Ipv4Addr::LOCALHOST, port));
    }
    socket.local_addr().unwrap()
}

/// A counter of UDP in this thread's namespace.
fn udp_counter(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let at = names.split(' ').position(|known| known == name).unwrap();
    values.split(' ').nth(at).unwrap().parse().unwrap()
}

fn filter(chain: &str, port: u16) {
    let port = port.to_string();
    run("iptables", &["-w", "-A", chain, "-p", "udp", "--dport", &port, "-j", "DROP"]);
}

/// What the first rule of a chain has counted.
fn filtered(chain: &str) -> u64 {
    let text = run("iptables", &["-w", "-nvxL", chain, "1"]);
    text.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_closed_port_is_a_reason() {
    with_datapath(|datapath| {
        let sender = send(3, CLOSED);
        assert_eq!(counts(datapath), one("no-socket", HOST, 3));
        let told = packets(datapath);
        assert_eq!(told.len(), 3);
        assert_eq!(told[0].source.port, sender.port());
        assert_eq!(SocketAddr::from((told[0].source.address, sender.port())), sender);
        assert_eq!(told[0].destination.port, CLOSED);
        assert_eq!((told[0].protocol, &*told[0].reason), (Protocol::UDP, "no-socket"));
        assert_eq!(told[0].site, HOST);
        assert!(counts(datapath).is_empty(), "each is handed out once");

        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, CLOSED)).is_err());
        assert_eq!(counts(datapath), one("no-socket", HOST, 1));
        assert_eq!(packets(datapath)[0].protocol, Protocol::TCP);
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn iptables_is_a_reason_on_both_ways() {
    with_datapath(|datapath| {
        filter("INPUT", CLOSED);
        send(5, CLOSED);
        assert_eq!(counts(datapath), one("netfilter-drop", HOST, filtered("INPUT")));
        // Before it is at any device: the place is where its route leads.
        filter("OUTPUT", FILTERED);
        send(7, FILTERED);
        assert_eq!(filtered("OUTPUT"), 7);
        assert_eq!(counts(datapath), one("netfilter-drop", HOST, 7));
        let ports: Vec<_> =
            packets(datapath).iter().map(|packet| packet.destination.port).collect();
        assert_eq!(ports, [vec![CLOSED; 5], vec![FILTERED; 7]].concat());
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_full_buffer_is_a_reason() {
    with_datapath(|datapath| {
        // Nobody reads.
        let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        send(2_000, receiver.local_addr().unwrap().port());
        let dropped = udp_counter("RcvbufErrors");
        assert!(dropped > 0, "some of it has room");
        assert_eq!(counts(datapath), one("socket-rcvbuff", HOST, dropped));
        drop(receiver);
        assert!(counts(datapath).is_empty(), "what was in the queue had arrived");
    });
}

/// The kernel frees through this tracepoint also what it has dealt with, each FIN for example.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_arrives_is_no_drop() {
    with_datapath(|datapath| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            for _ in 0..20 {
                let (mut stream, _) = listener.accept().unwrap();
                stream.write_all(&vec![0; 1 << 20]).unwrap();
            }
        });
        for _ in 0..20 {
            let mut received = Vec::new();
            TcpStream::connect(address).unwrap().read_to_end(&mut received).unwrap();
            assert_eq!(received.len(), 1 << 20);
        }
        server.join().unwrap();
        let reasons: Vec<_> = counts(datapath).into_keys().map(|(reason, _)| reason).collect();
        // On a busy machine TCP sends again what was only late: the second copy is dropped, and has a reason.
        let honest = |reason: &String| reason == "not-specified" || reason.starts_with("tcp-");
        assert!(reasons.iter().all(honest), "{reasons:?}");
        let told = packets(datapath);
        assert!(told.iter().all(|packet| packet.reason.starts_with("tcp-")), "{told:?}");
    });
}

/// Another namespace with its loopback device up, as a container's.
fn container() -> (File, u32) {
    let namespace = in_new_namespace(|| {
        run("ip", &["link", "set", "lo", "up"]);
        own()
    });
    let number = namespace.metadata().unwrap().ino().try_into().unwrap();
    (namespace, number)
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn only_observed_places_count() {
    with_datapath(|datapath| {
        let (namespace, number) = container();
        in_namespace(&namespace, || send(1, CLOSED));
        assert!(counts(datapath).is_empty(), "a namespace that is not observed");
        datapath.observe_namespace(number, 7).unwrap();
        in_namespace(&namespace, || send(2, CLOSED));
        let inside = |ifindex| DropSite::Inside { namespace: 7, ifindex };
        assert_eq!(counts(datapath), one("no-socket", inside(0), 2));
        assert_eq!(packets(datapath)[0].site, inside(LO));
        in_namespace(&namespace, || send(3, CLOSED));
        datapath.forget_namespace(number, 7);
        in_namespace(&namespace, || send(1, CLOSED));
        assert_eq!(counts(datapath), one("no-socket", inside(0), 3), "those until then");
        datapath.detach(LO);
        send(1, CLOSED);
        assert!(counts(datapath).is_empty(), "an interface that is not observed");
    });
}

/// 200,000 drops as fast as two CPUs can: every one is counted, and of the flows only some are told.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_storm_is_counted_exactly_and_told_in_part() {
    const STORM: usize = 200_000;
    with_datapath(|datapath| {
        filter("INPUT", FILTERED);
        // Two ports, two reasons, from two threads at the same time.
        let namespace = own();
        let begin = std::time::Instant::now();
        let threads = [CLOSED, FILTERED].map(|port| {
            let namespace = namespace.try_clone().unwrap();
            thread::spawn(move || in_namespace(&namespace, move || send(STORM / 2, port)))
        });
        let mut told = 0;
        while threads.iter().any(|thread| !thread.is_finished()) {
            told += packets(datapath).len();
            thread::sleep(std::time::Duration::from_millis(10));
        }
        let seconds = begin.elapsed().as_secs_f64();
        for thread in threads {
            thread.join().unwrap();
        }
        told += packets(datapath).len();
        assert_eq!((udp_counter("NoPorts"), filtered("INPUT")), (100_000, 100_000));
        let status = datapath.drop_status();
        let counts = counts(datapath);
        let counted: u64 = counts.values().sum();
        // The kernel passes the program over where another drop interrupts one, anywhere on the host: seldom, and known.
        assert!(counted + status.missed >= 200_000, "{counts:?} {status:?}");
        if status.missed == 0 {
            let mut expected = one("no-socket", HOST, 100_000);
            expected.append(&mut one("netfilter-drop", HOST, 100_000));
            assert_eq!(counts, expected);
        }

        let told = u64::try_from(told).unwrap();
        assert_eq!(told + status.details_lost, counted);
        let burst = DETAIL_CREDIT_NS / DETAIL_COST_NS;
        let rate = 1e9 / f64::from(u32::try_from(DETAIL_COST_NS).unwrap());
        let cpus =
            f64::from(u32::try_from(thread::available_parallelism().unwrap().get()).unwrap());
        let most = cpus * (f64::from(u32::try_from(burst).unwrap()) + rate * (seconds + 0.1));
        assert!(told >= burst, "{told}");
        assert!(f64::from(u32::try_from(told).unwrap()) <= most, "{told} in {seconds} s");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_finds_no_counter_is_counted_together() {
    with_datapath(|datapath| {
        let (namespace, number) = container();
        let beyond = 100;
        // A new identifier is a new place: as if so many containers dropped packets at the same time.
        for id in 1..=DROP_KEYS + beyond {
            datapath.observe_namespace(number, id).unwrap();
            in_namespace(&namespace, || send(1, CLOSED));
        }
        let counts = counts(datapath);
        let other = counts[&("other".to_owned(), "None".to_owned())];
        assert_eq!(other, u64::from(beyond));
        assert_eq!(counts.values().sum::<u64>(), u64::from(DROP_KEYS + beyond));
    });
}
