//! A shop of five containers on two networks under steady load: no flow without names, the log's sums are what the kernel
//! counted, and so are those of the metrics, nothing twice, nothing later than promised.
//!
//! `NETWATCH_SHOP_SECONDS` says how long the load lasts, 45 unless told otherwise. With `--nocapture` the test says how
//! much that was, and how late lines were.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    env,
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::{TcpStream, UdpSocket},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    sums::{Watch, among, mistakes},
    support::{
        agent::Agent,
        counters::Quiet,
        dns::Server,
        docker::{Container, Network, docker, unique},
        events::{Events, end},
        netns::in_namespace_of,
        order::{Timeouts, assert_each_told_once, assert_in_order},
        serial::host,
    },
};

/// Flows end soon, and those that go on are told of several times.
const ARGUMENTS: [&str; 4] = ["--flow-idle-timeout", "2s", "--flow-active-timeout", "5s"];
const TIMEOUTS: Timeouts = Timeouts { idle: 2_000, active: 5_000 };
/// The kernel itself may say something between two looks: a neighbour, a group.
const ATTEMPTS: usize = 5;
/// Where `worker` sends its measurements to `cache`, by UDP.
const STATSD: u16 = 8_125;
/// Where `cache` takes what `worker` stores, by TCP.
const STORE: u16 = 6_379;

struct Shop {
    web: Container,
    api: Container,
    db: Container,
    cache: Container,
    worker: Container,
    back: Network,
    front: Network,
}

impl Shop {
    fn open() -> Self {
        let (front, back) = (Network::create("front"), Network::create("back"));
        let project = format!("com.docker.compose.project={}", unique("shop"));
        let start = |service: &str, network: &Network, make: fn(&str, &[&str]) -> Container| {
            let service_label = format!("com.docker.compose.service={service}");
            let labels = ["--label", &project, "--label", &service_label];
            make(&unique(service), &[&labels[..], &["--network", &network.name]].concat())
        };
        let shop = Self {
            web: start("web", &front, Container::web),
            api: start("api", &front, Container::web),
            db: start("db", &back, Container::web),
            cache: start("cache", &back, Container::idle),
            worker: start("worker", &back, Container::idle),
            back,
            front,
        };
        docker(&["network", "connect", &shop.back.name, &shop.api.name]);
        shop
    }

    fn containers(&self) -> [&Container; 5] {
        [&self.web, &self.api, &self.db, &self.cache, &self.worker]
    }

    fn names(&self) -> [&str; 5] {
        self.containers().map(|container| container.name.as_str())
    }

    /// Everybody talks for so long: HTTP with small and large answers, connections that stay, look-ups, datagrams, echoes, and
    /// the host as a client.
    fn trade(&self, time: Duration) {
        let _names = Server::inside(&self.db);
        let [api, db, cache] =
            [(&self.api, &self.front), (&self.db, &self.back), (&self.cache, &self.back)]
                .map(|(container, network)| container.address(&network.name));
        let web = self.web.address(&self.front.name);
        let forever = |container: &Container, script: &str| {
            let script = format!("while :; do {script}; done");
            let seconds = time.as_secs().to_string();
            let timeout = ["timeout", &seconds, "/bin/sh", "-c", &script];
            docker(&[&["exec", "--detach", &container.name], &timeout[..]].concat());
        };
        let fetch = |server: &str, file| format!("wget -q -O /dev/null http://{server}/{file}");
        forever(&self.web, &format!("{}; sleep 0.1", fetch(&api, "small")));
        forever(&self.api, &format!("{}; sleep 0.1", fetch(&db, "small")));
        forever(&self.api, &format!("{}; sleep 3", fetch(&db, "big")));
        forever(&self.api, &format!("ping -c 10 {cache}"));
        forever(&self.worker, &format!("nslookup web.example {db}; sleep 0.5"));
        forever(&self.cache, &format!("nc -ll -p {STORE} -e /bin/cat"));
        let store = "for i in $(seq 60); do echo set $i; sleep 0.25; done";
        forever(&self.worker, &format!("({store}) | nc {cache} {STORE} >/dev/null; sleep 0.5"));
        let bind = |container: &Container, port| {
            let bind = move || UdpSocket::bind(("0.0.0.0", port)).expect("a port of its own");
            in_namespace_of(container.pid(), bind)
        };
        let (measured, _taken) = (bind(&self.worker, 0), bind(&self.cache, STATSD));
        let begin = Instant::now();
        while begin.elapsed() < time {
            measured.send_to(b"orders:1|c", (cache.as_str(), STATSD)).expect("it is sent");
            let mut stream = TcpStream::connect((web.as_str(), 80)).expect("the shop is open");
            stream.write_all(b"GET /small HTTP/1.0\r\n\r\n").expect("it listens");
            stream.read_to_end(&mut Vec::new()).expect("it answers");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Says that the shop has closed when dropped, also where trading failed.
struct Open<'a>(&'a AtomicBool);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What the log says of an interface, or the counters do: packets as the kernel counts them and bytes on the wire, received
/// and transmitted.
type Sums = BTreeMap<String, [(u64, u64); 2]>;

/// The last line of each flow has all of it.
fn sums_of_log(events: &Events) -> Sums {
    let told = events.0.iter().filter(|line| line["event"] == "end");
    let last: HashMap<_, _> = told.map(|line| (line["flow_id"].as_u64(), line)).collect();
    let mut sums = Sums::new();
    for seen in last.values().flat_map(|line| line["seen"].as_array().expect("hooks")) {
        let Some(interface) = seen["interface"].as_str() else { continue };
        let way = usize::from(seen["hook"] == "egress");
        let sum = &mut sums.entry(interface.to_owned()).or_default()[way];
        sum.0 += seen["skbs"].as_u64().expect("a number");
        sum.1 += seen["bytes"].as_u64().expect("a number");
    }
    sums
}

/// What the kernel counted of these interfaces, and netwatch as well, down to the last packet.
fn sums_of_counters(quiet: &Quiet, interfaces: &BTreeSet<String>) -> Sums {
    let sum = |interface: &String| {
        assert_eq!(quiet.netwatch[interface], quiet.kernel[interface], "{interface}");
        let ways = ["receive", "transmit"].map(|way| {
            let count = |what: &str| {
                let metric = format!("netwatch_interface_{way}_{what}_total");
                quiet.metrics.count(&metric, &[("interface", interface)])
            };
            (count("packets"), count("wire_bytes"))
        });
        (interface.clone(), ways)
    };
    interfaces.iter().map(sum).collect()
}

/// Where the log and the counters differ, but for what the ledger names.
fn differences(counters: &Sums, log: &Sums, named: (u64, u64)) -> String {
    let mut text = String::new();
    let mut missing = (0, 0);
    for (interface, ways) in counters {
        let told = log.get(interface).copied().unwrap_or_default();
        for (way, (counted, told)) in ["rx", "tx"].iter().zip(ways.iter().zip(told)) {
            missing.0 += counted.0 - told.0.min(counted.0);
            missing.1 += counted.1 - told.1.min(counted.1);
            if *counted != told {
                let _ = writeln!(text, "{interface} {way}: {counted:?}, in the log {told:?}");
            }
        }
    }
    if missing == named { String::new() } else { format!("{named:?} are named\n{text}") }
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn a_shop_under_load_is_told_completely_once_and_in_time() {
    let _host = host();
    let seconds = env::var("NETWATCH_SHOP_SECONDS");
    let seconds = seconds.map_or(45, |text| text.parse().expect("a whole number of seconds"));
    let agent = Agent::start(&ARGUMENTS);
    let shop = Shop::open();
    let interfaces = interfaces_of(&agent, &shop);
    let closed = AtomicBool::new(false);
    let mut watch = thread::scope(|scope| {
        let watch = scope.spawn(|| Watch::until(&closed, &agent));
        let open = Open(&closed);
        shop.trade(Duration::from_secs(seconds));
        drop(open);
        watch.join().expect("its scrapes add up")
    });

    let (mut counters, mut difference) = (Sums::new(), String::new());
    for _ in 0..ATTEMPTS {
        agent.until_metrics("all flows have ended", |metrics| {
            (metrics.count("netwatch_flows_active", &[]) == 0).then_some(())
        });
        let quiet = Quiet::wait_for(&agent);
        let in_no_flow = |unit| {
            let metric = format!("netwatch_{unit}_outcomes_total");
            let counted = quiet.metrics.count(&metric, &[("outcome", "counted")]);
            quiet.metrics.sum(&metric, &[]) - counted
        };
        let named = (in_no_flow("packet"), in_no_flow("byte"));
        counters = sums_of_counters(&quiet, &interfaces);
        let events = agent.events();
        let log = sums_of_log(&events);
        difference = differences(&counters, &log, named);
        let received = |sums: &Sums| sums.values().map(|ways| ways[0].1).sum::<u64>();
        let in_no_flow = received(&counters).saturating_sub(received(&log));
        difference += &mistakes(&quiet.metrics, &events, &shop.names(), in_no_flow);
        watch.look(&quiet.metrics);
        if difference.is_empty() {
            break;
        }
    }
    assert_eq!(difference, "");
    report_sums(&watch, &agent, &shop);
    let lost = agent.metrics().count("netwatch_flow_log_lines_lost_total", &[]);
    let stopped = agent.stop(libc::SIGTERM);
    assert!(stopped.status.success() && lost == 0, "{lost} lines lost: {}", stopped.stderr);

    let events = Events::parse(&stopped.log);
    for line in &events.0 {
        assert_ends_named(line, &interfaces);
    }
    assert_each_told_once(&events);
    let lateness = assert_in_order(&events, TIMEOUTS);
    report(&events, &counters, &lateness);
    everybody_traded(&events, &shop);
}

/// The veths of the shop, when all are observed and named.
fn interfaces_of(agent: &Agent, shop: &Shop) -> BTreeSet<String> {
    agent.until_metrics("six veths are named", |metrics| {
        let of = |container: &Container| {
            let labels = [("container", container.name.as_str())];
            let series = metrics.find("netwatch_interface_info", &labels);
            series.map(|series| series.labels["interface"].clone()).collect::<Vec<_>>()
        };
        let all: BTreeSet<_> = shop.containers().into_iter().flat_map(of).collect();
        (all.len() == 6).then_some(all)
    })
}

/// Containers, the host and groups have names; an interface or an address is none.
fn assert_ends_named(line: &Value, interfaces: &BTreeSet<String>) {
    let is_ours = |seen: &Value| {
        seen["interface"].as_str().is_some_and(|interface| interfaces.contains(interface))
    };
    if line["seen"].as_array().is_some_and(|hooks| hooks.iter().any(is_ours)) {
        for side in ["client", "server"] {
            let (_, kind) = end(line, side);
            assert!(["container", "host", "multicast", "broadcast"].contains(&kind), "{line}");
        }
    }
}

/// The load was what it is meant to be.
fn everybody_traded(events: &Events, shop: &Shop) {
    for (client, server, protocol, least) in [
        (&shop.web.name, &shop.api.name, "tcp", "end"),
        (&shop.api.name, &shop.db.name, "tcp", "end"),
        (&shop.api.name, &shop.cache.name, "icmp", "update"),
        (&shop.worker.name, &shop.cache.name, "tcp", "update"),
        (&shop.worker.name, &shop.cache.name, "udp", "update"),
        (&shop.worker.name, &shop.db.name, "udp", "dns"),
        (&"host".to_owned(), &shop.web.name, "tcp", "end"),
    ] {
        let is_it = |line: &Value| {
            line["event"] == least
                && line["protocol"] == protocol
                && line["client"]["name"] == client.as_str()
                && line["server"]["name"] == server.as_str()
        };
        assert!(events.0.iter().any(is_it), "{protocol} from {client} to {server}: no {least}");
    }
    let services = |line: &Value| line["client"]["service"].as_str().map(str::to_owned);
    let services: BTreeSet<_> = events.0.iter().filter_map(services).collect();
    assert!(["web", "api", "worker"].iter().all(|service| services.contains(*service)));
}

#[expect(clippy::print_stdout, reason = "for whoever wants to know")]
fn report_sums(watch: &Watch, agent: &Agent, shop: &Shop) {
    let Watch { scrapes, counters, behind: [packets, bytes], .. } = watch;
    println!("{scrapes} scrapes: none of {} counters fell", counters.len());
    println!("behind by at most {packets} packets, {bytes} bytes, and never in the next scrape");
    println!("{} bytes among containers", among(&agent.metrics(), &shop.names()));
}

#[expect(clippy::print_stdout, reason = "for whoever wants to know")]
fn report(events: &Events, counters: &Sums, lateness: &HashMap<String, i128>) {
    let (packets, bytes) =
        counters.values().flatten().fold((0, 0), |sum, way| (sum.0 + way.0, sum.1 + way.1));
    println!("{} lines; {packets} packets, {bytes} bytes at six veths", events.0.len());
    println!("late by at most, in ms: {lateness:?}");
}
