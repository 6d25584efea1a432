//! What a malicious container can send, through the real agent: packets at random, and names in DNS that would draw on a
//! terminal or break a line. docs/security.md says what is promised.
//!
//! Few of them by default; `NETWATCH_HOSTILE_PACKETS=10000000 NETWATCH_HOSTILE_NAMES=100000` sends as many as are promised.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "differential/generate.rs"]
mod generate;
mod support;

use std::fs;

use etherparse::PacketBuilder;
use fastrand::Rng;
use support::{
    agent::{Agent, netwatch},
    frames::Sender,
    metrics::Metrics,
    netns::in_new_namespace,
    serial,
    shell::run,
    veth,
    wait::until,
};

const SEED: u64 = 0x6576_696c;
/// Packets between two looks at the agent: so many flows have room in its rings.
const STEP: u64 = 5_000;
/// Resident memory that the agent stays below, in a debug build, whatever is sent: its maps, an hour's history and the table
/// of flows are 200 MB.
const MEMORY: u64 = 400 << 20;

fn count(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => default,
    }
}

/// An agent at both ends of a veth pair, in a namespace of its own.
fn with_agent(arguments: &'static [&'static str], body: impl FnOnce(&Agent, u32) + Send + 'static) {
    let _alone = serial::alone();
    in_new_namespace(move || {
        run("ip", &["link", "set", "lo", "up"]);
        let [one, _] = veth::pair(["one", "two"], 9_000);
        let interfaces = ["--interface", "one", "--interface", "two"];
        let agent = Agent::start(&[&interfaces, arguments].concat());
        body(&agent, one);
        let memory = agent.metrics().count("process_resident_memory_bytes", &[]);
        assert!(memory < MEMORY, "{memory} bytes");
        let page = agent.get("/metrics").body;
        harmless("the metrics", &page);
        harmless("the page", &agent.get("/").body);
        let asked = netwatch()
            .env("NETWATCH_SOCKET", agent.socket())
            .args(["flows", "-n", "1000000"])
            .output()
            .unwrap();
        assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
        let text = String::from_utf8(asked.stdout).expect("UTF-8");
        assert!(text.lines().count() > 100);
        harmless("the flows", &text);
        let log = agent.log();
        assert!(agent.pid() > 0);
        let log = fs::read_to_string(log).expect("UTF-8");
        harmless("the log", &log);
        harmless("netwatch's own log", &agent.stderr());
        for line in log.lines() {
            let line: serde_json::Value = serde_json::from_str(line).expect(line);
            assert!(line["event"].is_string() && line["time"].is_string(), "{line}");
        }
    });
}

/// Nothing that a terminal would obey or hide, and no line but those that were meant.
fn harmless(what: &str, text: &str) {
    for line in text.lines() {
        let bad = line.chars().find(|c| {
            c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        });
        assert_eq!(bad, None, "{what}: {line:?}");
    }
}

/// Packets that were seen, and those that are accounted for.
fn books(metrics: &Metrics) -> (u64, u64) {
    (
        metrics.count("netwatch_packets_seen_total", &[]),
        metrics.sum("netwatch_packet_outcomes_total", &[]),
    )
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn packets_at_random_are_all_accounted_for_and_hurt_nobody() {
    let packets = count("NETWATCH_HOSTILE_PACKETS", 200_000);
    with_agent(&["--max-flows", "1024", "--flow-log-fold", "1s"], move |agent, one| {
        let mut rng = Rng::with_seed(SEED);
        let mut sender = Sender::at(one);
        let mut sent = 0;
        for step in (0..packets).step_by(usize::try_from(STEP).unwrap()) {
            for _ in step..packets.min(step + STEP) {
                let packet = generate::packet(&mut rng);
                // The device takes no frame without an Ethernet header.
                sent += u64::from(packet.len() > 14 && sender.try_send(&packet));
            }
            if step % (100 * STEP) == 0 {
                let (seen, accounted) = books(&agent.metrics());
                assert!(accounted <= seen);
            }
        }
        assert!(sent > packets / 2, "{sent} of {packets} went out");
        until("all are accounted for", || {
            let metrics = agent.metrics();
            let (seen, accounted) = books(&metrics);
            println!("{seen} seen, {accounted} accounted for, {sent} sent");
            (seen == accounted && seen >= sent).then_some(())
        });
        println!("{sent} packets; {} bytes resident", resident(agent));
    });
}

fn resident(agent: &Agent) -> u64 {
    agent.metrics().count("process_resident_memory_bytes", &[])
}

/// What names are made of that somebody wants to hurt with.
const PARTS: [&str; 14] = [
    "\u{1b}[2J",
    "\u{1b}]0;owned\u{7}",
    "\r\n2026-01-01 end tcp host:1 -> host:2",
    "\"}\n{\"event\":\"end\"",
    "a=b c=d",
    "</script><script>",
    "\u{202e}moc",
    "\u{9b}31m",
    "%s%n",
    "\0",
    "${jndi:x}",
    "xn--",
    "\u{200b}",
    "../../etc",
];

/// A query with a name of such labels, or of bytes at random.
fn query(rng: &mut Rng, number: u64) -> Vec<u8> {
    let mut bytes = u16::try_from(number % 65_536).unwrap().to_be_bytes().to_vec();
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for _ in 0..rng.usize(1..4) {
        let mut label: Vec<u8> = match rng.u32(0..4) {
            0 => (0..rng.usize(1..63)).map(|_| rng.u8(..)).collect(),
            _ => PARTS[rng.usize(..PARTS.len())].bytes().collect(),
        };
        label.truncate(63);
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label);
    }
    let unique = number.to_string();
    bytes.push(u8::try_from(unique.len()).unwrap());
    bytes.extend(unique.bytes());
    bytes.extend([0, 0, 1, 0, 1]);
    if rng.u32(0..8) == 0 {
        let at = rng.usize(..bytes.len());
        bytes[at] = rng.u8(..);
    }
    bytes
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn names_in_dns_neither_reach_a_terminal_nor_break_a_line() {
    let names = count("NETWATCH_HOSTILE_NAMES", 10_000);
    with_agent(&["--dns-rate", "1000000"], move |agent, one| {
        let mut rng = Rng::with_seed(SEED);
        let mut sender = Sender::at(one);
        for number in 0..names {
            let port = 1_024 + u16::try_from(number % 1_000).unwrap();
            let step = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
                .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
                .udp(port, 53);
            let mut frame = Vec::new();
            step.write(&mut frame, &query(&mut rng, number)).unwrap();
            sender.send(&frame);
            if number % 200 == 199 {
                // What the agent has not read would be lost, and nothing tried.
                let full = [("reason", "ring-full")];
                let lost = agent.metrics().sum("netwatch_dns_messages_lost_total", &full);
                assert_eq!(lost, 0);
            }
        }
        until("the names are told", || {
            let text = fs::read_to_string(agent.log()).unwrap();
            let told =
                text.lines().filter(|line| line.contains("\"event\":\"dns\"")).count() as u64;
            (told > names / 2).then_some(())
        });
        println!("{names} names; {} bytes resident", resident(agent));
    });
}
