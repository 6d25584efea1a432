//! Thousands of short connections a second: nothing is lost in silence, and a follower with a filter sees exactly its own.
//!
//! `NETWATCH_BURST_RATE` (connections a second), `NETWATCH_BURST_SECONDS`, `NETWATCH_BURST_PROGRAM` (another agent, say a
//! released one) and `NETWATCH_BURST_ARGUMENTS` (for it) change what is sent to whom. With `--nocapture` the test says
//! what the agent took.

use std::{
    collections::BTreeMap,
    env, fs,
    fs::File,
    net::Ipv4Addr,
    path::Path,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use etherparse::{PacketBuilder, PacketBuilderStep, TcpHeader};
use serde::Deserialize;
use serde_json::Value;

use super::support::{
    agent::{Agent, end_of, netwatch, program, send as signal},
    frames::Sender,
    kept,
    netns::in_new_namespace,
    serial,
    shell::run,
    veth,
    wait::until,
    watched::Watched,
};

const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// Whom the follower follows: one connection beside so many of the crowd's.
const FOLLOWED: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);
const CROWD_FOR_ONE: u32 = 200;
/// Each connection of the crowd has a port of its own; so many, then the next address.
const PORTS: u32 = 50_000;
/// Packets of a connection, and their bytes with the Ethernet headers.
const PACKETS: u64 = 8;
const BYTES: u64 = 8 * 54 + 6;
/// How often connections are begun.
const STEP: Duration = Duration::from_millis(10);
const STEPS_A_SECOND: u32 = 100;

/// Where the client's socket stands in a frame that it sends, and in one that it is sent.
const SOURCE: [usize; 2] = [26, 34];
const DESTINATION: [usize; 2] = [30, 36];

/// The frames of a connection from SYN to FIN, with a packet of data each way.
struct Connection(Vec<(bool, Vec<u8>)>);

impl Connection {
    fn new() -> Self {
        let tcp = |from_client: bool| {
            let (from, to, ports, sequence) =
                if from_client { (1, 2, [0, 80], 1_000) } else { (2, 1, [80, 0], 5_000) };
            PacketBuilder::ethernet2([2, 0, 0, 0, 0, from], [2, 0, 0, 0, 0, to])
                .ipv4(SERVER.octets(), SERVER.octets(), 64)
                .tcp(ports[0], ports[1], sequence, 8_000)
        };
        let frame = |from_client: bool, step: PacketBuilderStep<TcpHeader>, payload: &[u8]| {
            let mut bytes = Vec::new();
            step.write(&mut bytes, payload).unwrap();
            (from_client, bytes)
        };
        Self(vec![
            frame(true, tcp(true).syn(), b""),
            frame(false, tcp(false).syn().ack(1_001), b""),
            frame(true, tcp(true).ack(5_001), b""),
            frame(true, tcp(true).psh().ack(5_001), b"GET"),
            frame(false, tcp(false).psh().ack(1_004), b"200"),
            frame(false, tcp(false).fin().ack(1_004), b""),
            frame(true, tcp(true).fin().ack(5_004), b""),
            frame(false, tcp(false).ack(1_005), b""),
        ])
    }

    /// Sends them, each into the end of the pair that is the sender's.
    fn send(&mut self, ends: &mut [Sender; 2], client: Ipv4Addr, port: u16) {
        for (from_client, frame) in &mut self.0 {
            let [address_at, port_at] = if *from_client { SOURCE } else { DESTINATION };
            frame[address_at..address_at + 4].copy_from_slice(&client.octets());
            frame[port_at..port_at + 2].copy_from_slice(&port.to_be_bytes());
            ends[usize::from(!*from_client)].send(frame);
        }
    }
}

/// How much there is to do, and who has to cope with it.
struct Burst {
    rate: u32,
    seconds: u32,
    program: Option<String>,
    arguments: String,
}

impl Burst {
    fn asked_for() -> Self {
        let number = |name, otherwise| {
            env::var(name).map_or(otherwise, |text| text.parse().expect("a whole number"))
        };
        Self {
            rate: number("NETWATCH_BURST_RATE", 2_000),
            seconds: number("NETWATCH_BURST_SECONDS", 4),
            program: env::var("NETWATCH_BURST_PROGRAM").ok(),
            arguments: env::var("NETWATCH_BURST_ARGUMENTS").unwrap_or_default(),
        }
    }

    /// Sends at this rate, and answers with how many connections the crowd made, and how many the one that is followed.
    fn send(&self, mut ends: [Sender; 2], mut each_second: impl FnMut(u32)) -> (u32, u32) {
        let mut connection = Connection::new();
        let (mut crowd, mut followed) = (0_u32, 0_u32);
        let begin = Instant::now();
        for step in 1..=self.seconds * STEPS_A_SECOND {
            while crowd < self.rate / STEPS_A_SECOND * step {
                if crowd.is_multiple_of(CROWD_FOR_ONE) {
                    connection.send(&mut ends, FOLLOWED, port(followed));
                    followed += 1;
                }
                let [.., middle, low] = (crowd / PORTS).to_be_bytes();
                connection.send(&mut ends, Ipv4Addr::new(10, 0, middle, low), port(crowd % PORTS));
                crowd += 1;
            }
            if step.is_multiple_of(STEPS_A_SECOND) {
                each_second(step / STEPS_A_SECOND);
            }
            thread::sleep((STEP * step).saturating_sub(begin.elapsed()));
        }
        (crowd, followed)
    }
}

fn port(number: u32) -> u16 {
    u16::try_from(1_000 + number).unwrap()
}

/// A line of the flow log, as far as it is looked at.
#[derive(Deserialize)]
struct Line {
    event: String,
    reason: Option<String>,
    ends: Option<BTreeMap<String, u64>>,
    sent: Option<Tally>,
    received: Option<Tally>,
    packets: Option<u64>,
    lines: Option<u64>,
}

#[derive(Deserialize)]
struct Tally {
    packets: u64,
    bytes: u64,
}

/// What a flow log says of connections, each line taken for as many as it stands for.
#[derive(Default)]
struct Told {
    /// Connections that ended, by reason.
    ends: BTreeMap<String, u64>,
    packets: u64,
    bytes: u64,
    /// Packets that are in no flow.
    lost: u64,
    /// Lines about flows.
    lines: u64,
    /// Lines that are missing by the log's own word.
    missing: u64,
}

impl Told {
    fn read(log: impl Iterator<Item = String>) -> Self {
        let mut told = Self::default();
        for text in log {
            let line: Line = serde_json::from_str(&text).expect("JSON");
            match line.event.as_str() {
                "lost" => told.lost += line.packets.expect("a number"),
                "gap" => told.missing += line.lines.expect("a number"),
                "start" => told.lines += 1,
                _ => told.end(line),
            }
        }
        told
    }

    fn end(&mut self, line: Line) {
        self.lines += 1;
        let one = || BTreeMap::from([(line.reason.expect("why"), 1)]);
        for (reason, count) in line.ends.unwrap_or_else(one) {
            *self.ends.entry(reason).or_default() += count;
        }
        for direction in [line.sent, line.received].into_iter().flatten() {
            self.packets += direction.packets;
            self.bytes += direction.bytes;
        }
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn thousands_of_short_connections_a_second_are_all_told() {
    let _alone = serial::alone();
    in_new_namespace(|| {
        let told = all_are_told(&Burst::asked_for());
        assert!(told.lines >= 2 * told.ends["fin"]);
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn folded_they_are_few_lines_that_add_up_to_the_same() {
    let _alone = serial::alone();
    in_new_namespace(|| {
        let mut burst = Burst::asked_for();
        burst.arguments += " --flow-log-fold 2s";
        let told = all_are_told(&burst);
        assert!(told.lines < told.ends["fin"] / 20, "{} lines", told.lines);
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_reader_has_them_folded_for_itself() {
    let _alone = serial::alone();
    in_new_namespace(|| {
        run("ip", &["link", "set", "lo", "up"]);
        let ends = veth::pair(["one", "two"], 1_500);
        let agent = Agent::start(&["--interface", "one", "--interface", "two"]);
        let asks = |arguments: &[&str]| {
            let mut command = netwatch();
            command
                .args(["flows", "-o", "json", "--fold", "5s"])
                .args(arguments)
                .arg("--socket")
                .arg(agent.socket());
            command
        };
        let folder = tempfile::TempDir::new().unwrap();
        let seen = folder.path().join("seen");
        let mut follower = asks(&["-f", "-n", "0"])
            .stdout(File::create(&seen).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        agent.until_metrics("it follows", |metrics| {
            (metrics.count("netwatch_flow_readers", &[]) == 1).then_some(())
        });
        let burst = Burst { rate: 1_000, seconds: 3, program: None, arguments: String::new() };
        let (crowd, ours) = burst.send(ends.map(Sender::at), |_| {});
        let connections = u64::from(crowd) + u64::from(ours);
        let check = |lines: &[String]| {
            let told = Told::read(lines.iter().cloned());
            let is_all = told.ends.get("fin") == Some(&connections);
            if is_all {
                assert_eq!(told.packets, connections * PACKETS);
                assert_eq!(told.bytes, connections * BYTES);
                assert!(told.lines < connections / 20, "{} lines", told.lines);
            }
            is_all.then_some(())
        };
        until("the follower has all", || check(&lines_of(&seen)));
        signal(follower.id(), libc::SIGINT);
        assert_eq!(end_of(&mut follower).code(), Some(0));
        let past = asks(&["--since", "1h"]).output().unwrap();
        let past = String::from_utf8(past.stdout).unwrap();
        let lines: Vec<String> = past.lines().map(str::to_owned).collect();
        assert!(check(&lines).is_some(), "{past}");
    });
}

/// Sends, and checks that all of it is told, to the flow log and to the follower.
#[expect(clippy::print_stdout, reason = "for whoever wants to know")]
fn all_are_told(burst: &Burst) -> Told {
    run("ip", &["link", "set", "lo", "up"]);
    let ends = veth::pair(["one", "two"], 1_500);
    let command = || burst.program.as_deref().map_or_else(netwatch, program);
    let mut arguments = vec!["--interface", "one", "--interface", "two"];
    arguments.extend(burst.arguments.split_whitespace());
    let agent = Agent::start_by(&mut command(), &arguments);
    let folder = tempfile::TempDir::new().unwrap();
    let [seen, said] = ["seen", "said"].map(|name| folder.path().join(name));
    let mut follower = command()
        .args(["flows", "-f", "-o", "json", "--from", &FOLLOWED.to_string(), "--socket"])
        .arg(agent.socket())
        .stdin(Stdio::null())
        .stdout(File::create(&seen).unwrap())
        .stderr(File::create(&said).unwrap())
        .spawn()
        .unwrap();

    let mut watched = Watched::new(agent.pid());
    let begin = Instant::now();
    let (crowd, ours) = burst.send(ends.map(Sender::at), |_| watched.look());
    println!(
        "{} connections a second",
        u128::from(crowd + ours) * 1_000 / begin.elapsed().as_millis()
    );
    watched.assert_flat();
    let connections = u64::from(crowd) + u64::from(ours);
    agent.until_metrics("all has ended", |metrics| {
        (metrics.count("netwatch_flows_active", &[]) == 0).then_some(())
    });
    let unwritten = agent.metrics().count("netwatch_flow_log_lines_lost_total", &[]);
    let followed_to_the_end = until("the follower has the last one", || {
        let lines = lines_of(&seen);
        (lines.len() >= 2 * ours as usize).then_some(lines)
    });
    signal(follower.id(), libc::SIGINT);
    assert_eq!(end_of(&mut follower).code(), Some(0));
    let stopped = agent.stop(libc::SIGTERM);
    assert!(stopped.status.success(), "{}", stopped.stderr);

    let told = Told::read(stopped.logs().iter().flat_map(|path| kept::lines(path)));
    println!("{connections} connections in {} lines, {unwritten} not written", told.lines);
    assert_eq!(told.missing, unwritten, "gaps tell of each line that is missing");
    assert_eq!(unwritten, 0, "the flow log was too slow, and says so");
    assert_eq!(told.lost, 0, "there was no room for packets, and netwatch says so");
    assert_eq!(told.ends, BTreeMap::from([("fin".to_owned(), connections)]));
    assert_eq!((told.packets, told.bytes), (connections * PACKETS, connections * BYTES));

    for event in ["start", "end"] {
        let word = format!("\"event\":\"{event}\"");
        let ports = followed_to_the_end.iter().filter(|line| line.contains(&word)).map(|line| {
            let line: Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(line["client"]["address"], FOLLOWED.to_string());
            line["client"]["port"].as_u64().unwrap()
        });
        let mut ports: Vec<_> = ports.collect();
        ports.sort_unstable();
        let expected: Vec<_> = (0..ours).map(|number| u64::from(port(number))).collect();
        assert_eq!(ports, expected, "{event}");
    }
    let said = fs::read_to_string(&said).unwrap();
    let summary = format!("netwatch: {} lines, 0 events missed, in ", 2 * ours);
    assert!(said.starts_with(&summary), "{said}");
    told
}

/// The complete lines of a file.
fn lines_of(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    complete.lines().map(str::to_owned).collect()
}
