//! A host of many containers and very many edges: what a scrape costs stays bounded, and every byte is found again in it.
//!
//! `NETWATCH_SCALE_CONTAINERS` and `NETWATCH_SCALE_EDGES` say how many there are; a host at its limit has 2000 and 200000.
//! `NETWATCH_SCALE_PROGRAM` is another agent, a released one, which has to answer in time. With `--nocapture` the test says
//! what it took.

use std::{
    env,
    fmt::Write as _,
    fs::{self, File},
    thread,
    time::{Duration, Instant},
};

use etherparse::PacketBuilder;

use super::{
    alone,
    support::{
        agent::{Agent, netwatch, program},
        frames::Sender,
        metrics::Metrics,
        mounts,
        netns::in_namespace,
        shell::run,
        veth,
        wait::within,
    },
};

/// A bridge has room for 1,023 ports.
const ON_A_BRIDGE: u16 = 1_000;
/// What a scrape may be, of whatever size the host.
const LARGEST_SCRAPE: usize = 10 << 20;
const LONGEST_SCRAPE: Duration = Duration::from_millis(100);
/// Of its own, in kB: without the kernel's tables, which it sees in its memory, and its program.
const MOST_MEMORY: u64 = 150_000;
/// `--metrics.max-series` unless told otherwise: of all metrics together.
const MOST_SERIES: usize = 10_000;
/// So many flows are begun a second that no more are open than there is room for.
const RATE: u32 = 3_000;
/// Two thousand namespaces are not made in no time, and the agent has to find them all.
const PATIENCE: Duration = Duration::from_mins(5);
/// The containers are namespaces; those of an engine would come on top. Of each some packets are sampled, so that there are
/// all series that a host has in the long run.
const ARGUMENTS: [&str; 4] =
    ["--docker-host", "unix:///nowhere/docker.sock", "--sample-rate", "10"];
const FIRST_PORT: u16 = 1_000;

/// A host with containers on bridges, each of which talks to the next one on its bridge.
struct Host {
    containers: u16,
    /// Ports of the next container that each one talks to.
    ports: u16,
}

impl Host {
    fn asked_for() -> Self {
        let number = |name, otherwise| {
            env::var(name).map_or(otherwise, |text| text.parse().expect("a whole number"))
        };
        let containers = number("NETWATCH_SCALE_CONTAINERS", 60);
        let edges = number("NETWATCH_SCALE_EDGES", 3_000);
        let ports = u16::try_from(edges / containers).expect("ports below 32768");
        Self { containers: u16::try_from(containers).expect("containers"), ports }
    }

    fn edges(&self) -> u64 {
        u64::from(self.containers) * u64::from(self.ports)
    }

    fn all(&self) -> impl Iterator<Item = u16> + use<> {
        0..self.containers
    }

    /// Whom a container talks to.
    fn next(&self, container: u16) -> u16 {
        let first = container - container % ON_A_BRIDGE;
        let end = self.containers.min(first + ON_A_BRIDGE);
        if container + 1 == end { first } else { container + 1 }
    }

    /// Named namespaces, each with a veth on a bridge that knows where everybody is.
    fn build(&self) {
        run("ip", &["link", "set", "lo", "up"]);
        mounts::own();
        fs::create_dir_all("/run/netns").expect("where namespaces have names");
        mounts::mount("tmpfs", "/run/netns");
        veth::be_silent();
        let (mut links, mut stations) = (String::new(), String::new());
        for container in self.all() {
            let bridge = container / ON_A_BRIDGE;
            if container % ON_A_BRIDGE == 0 {
                let _ = writeln!(links, "link add br{bridge} up type bridge mcast_snooping 0");
            }
            let mac = text(mac(container));
            let _ = writeln!(
                links,
                "netns add c{container}\n\
                 link add v{container} type veth peer name eth0 address {mac} netns c{container}\n\
                 link set v{container} master br{bridge} up"
            );
            let _ = writeln!(stations, "fdb add {mac} dev v{container} master static");
        }
        batch("ip", &links);
        batch("bridge", &stations);
        for container in self.all() {
            in_container(container, || {
                veth::be_silent();
                run("ip", &["link", "set", "eth0", "up"]);
            });
        }
    }

    /// Everybody sends a packet to each port, and gets an answer.
    fn talk(&self) {
        let begin = Instant::now();
        for container in self.all() {
            let server = self.next(container);
            let [mut there, mut back] = [container, server].map(sender);
            for number in 0..self.ports {
                there.send(&frame(container, server, number, true));
                back.send(&frame(server, container, number, false));
            }
            let flows = u32::from(container + 1) * u32::from(self.ports);
            let due = Duration::from_secs(1) * flows / RATE;
            thread::sleep(due.saturating_sub(begin.elapsed()));
        }
    }

    /// Bytes that each one sends as a client, and as a server.
    fn bytes(&self) -> [u64; 2] {
        [true, false].map(|there| {
            let lengths = (0..self.ports).map(|number| frame(0, 1, number, there).len() as u64);
            lengths.sum()
        })
    }
}

/// Feeds lines to a command that takes many.
fn batch(command: &str, lines: &str) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, lines.as_bytes()).unwrap();
    run(command, &["-batch", file.path().to_str().unwrap()]);
}

fn in_container<T: Send + 'static>(container: u16, body: impl FnOnce() -> T + Send + 'static) -> T {
    in_namespace(&File::open(format!("/run/netns/c{container}")).unwrap(), body)
}

fn sender(container: u16) -> Sender {
    in_container(container, || Sender::at(veth::index("eth0")))
}

fn mac(container: u16) -> [u8; 6] {
    let [high, low] = container.to_be_bytes();
    [2, 0, 0, 0, high, low]
}

fn text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// A datagram to a port, or its answer, of a length of its own.
fn frame(from: u16, to: u16, number: u16, there: bool) -> Vec<u8> {
    let address = |container: u16| {
        let [high, low] = container.to_be_bytes();
        [10, 1, high, low]
    };
    let (client, server) = (50_000, FIRST_PORT + number);
    let (source, destination) = if there { (client, server) } else { (server, client) };
    let step = PacketBuilder::ethernet2(mac(from), mac(to))
        .ipv4(address(from), address(to), 64)
        .udp(source, destination);
    let mut bytes = Vec::new();
    let length = if there { 18 + number % 64 } else { 200 + number % 700 };
    step.write(&mut bytes, &vec![0; length.into()]).unwrap();
    bytes
}

/// A figure of a process's memory, in kB.
fn memory(pid: u32, what: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_scrape_of_very_many_edges_is_bounded_and_complete() {
    alone(|| {
        let host = Host::asked_for();
        let begin = Instant::now();
        host.build();
        println!("{} containers made in {:?}", host.containers, begin.elapsed());
        let released = env::var("NETWATCH_SCALE_PROGRAM").ok();
        let mut command = released.as_deref().map_or_else(netwatch, program);
        let begin = Instant::now();
        let agent = Agent::start_within(PATIENCE, &mut command, &ARGUMENTS);
        let count = |metrics: &Metrics, name| metrics.find(name, &[]).count();
        within(PATIENCE, "all containers are known", || {
            let metrics = agent.metrics();
            let named = count(&metrics, "netwatch_container_transmit_bytes_total") as u64;
            let folded = metrics.count("netwatch_names_folded", &[("kind", "container")]);
            let is_other = u64::from(folded > 0);
            (named - is_other + folded == u64::from(host.containers)).then_some(())
        });
        println!("all known after {:?}", begin.elapsed());
        let begin = Instant::now();
        host.talk();
        println!("{} edges in {:?}", host.edges(), begin.elapsed());

        let [asked, answered] = host.bytes();
        let everybody = u64::from(host.containers);
        let metrics = within(PATIENCE, "all is counted", || {
            let metrics = agent.metrics();
            let bytes = metrics.sum("netwatch_edge_bytes_total", &[]);
            (bytes == everybody * (asked + answered)).then_some(metrics)
        });
        for (direction, bytes) in [("sent", asked), ("received", answered)] {
            let labels = [("direction", direction)];
            assert_eq!(metrics.sum("netwatch_edge_bytes_total", &labels), everybody * bytes);
            assert_eq!(metrics.sum("netwatch_edge_packets_total", &labels), host.edges());
        }
        for way in ["transmit", "receive"] {
            let name = format!("netwatch_container_{way}_bytes_total");
            assert_eq!(metrics.sum(&name, &[]), everybody * (asked + answered));
            let names = metrics.find(&name, &[]).map(|series| &*series.labels["container"]);
            for container in names.filter(|container| *container != "other") {
                // One that has become large enough later has its own from then on.
                let bytes = metrics.count(&name, &[("container", container)]);
                assert!(bytes <= asked + answered, "{container}: {bytes}");
            }
        }
        assert_eq!(metrics.sum("netwatch_edge_connections_total", &[]), host.edges());
        assert_eq!(
            metrics.sum("netwatch_bytes_seen_total", &[]),
            metrics.sum("netwatch_byte_outcomes_total", &[("outcome", "counted")]),
            "nothing was lost"
        );
        let named = count(&metrics, "netwatch_edge_connections_total");
        println!("{} series, {named} edges", metrics.series.len());

        let (size, times): (Vec<_>, Vec<_>) = (0..3)
            .map(|_| {
                thread::sleep(Duration::from_secs(1));
                let begin = Instant::now();
                (agent.get("/metrics").body.len(), begin.elapsed())
            })
            .unzip();
        println!("{} bytes in {times:?}", size[0]);
        let collecting = metrics.value("netwatch_scrape_seconds_total", &[])
            / metrics.value("netwatch_scrapes_total", &[]);
        println!("{:.1} ms of it to collect the figures", collecting * 1_000.0);
        let [resident, own] = ["VmRSS:", "RssAnon:"].map(|what| memory(agent.pid(), what));
        println!("{resident} kB resident, {own} kB of its own");
        assert!(metrics.series.len() <= MOST_SERIES, "{}", metrics.series.len());
        assert!(size[0] < LARGEST_SCRAPE, "{} bytes", size[0]);
        assert!(own < MOST_MEMORY, "{own} kB of memory");
        let fastest = times.iter().min().unwrap();
        assert!(released.is_none() || *fastest < LONGEST_SCRAPE, "{fastest:?}");
        a_large_one_gets_its_name(&host, &agent);
    });
}

/// The last edge of all, which came when there was no room any more, becomes the largest.
fn a_large_one_gets_its_name(host: &Host, agent: &Agent) {
    let client = host.containers - 1;
    let (server, number) = (host.next(client), host.ports - 1);
    let [client_name, server_name] = [client, server].map(|container| format!("c{container}"));
    let port = (FIRST_PORT + number).to_string();
    let labels = [("client", &*client_name), ("server", &*server_name), ("port", &*port)];
    let all = |metrics: &Metrics| metrics.sum("netwatch_edge_bytes_total", &[]);
    let before = agent.metrics();
    assert_eq!(before.find("netwatch_edge_bytes_total", &labels).count(), 0, "it is folded");
    let mut there = sender(client);
    let frame = frame(client, server, number, true);
    let mut sent = 0;
    let metrics = within(PATIENCE, "it has its name", || {
        for _ in 0..100 {
            there.send(&frame);
        }
        sent += 100 * frame.len() as u64;
        let metrics = agent.metrics();
        (metrics.sum("netwatch_edge_bytes_total", &labels) > 0).then_some(metrics)
    });
    let last = within(PATIENCE, "all is counted", || {
        let metrics = agent.metrics();
        (all(&metrics) == all(&before) + sent).then_some(metrics)
    });
    let named = last.sum("netwatch_edge_bytes_total", &labels);
    assert!(named <= sent && named >= metrics.sum("netwatch_edge_bytes_total", &labels));
    assert!(last.series.len() <= MOST_SERIES, "{}", last.series.len());
}
