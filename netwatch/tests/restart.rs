//! Agents that are killed, replaced and stopped, in a namespace of their own: what was counted is counted once, and goes on.
//!
//! `NETWATCH_RESTARTS` says how often an agent is killed under load. With `--nocapture` the tests say what they counted.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use etherparse::PacketBuilder;
use netwatch::datapath::{Beside, Hook, hooked};
use support::{
    agent::{Agent, lasting},
    counters::{ByInterface, Quiet, of_kernel},
    frames::Sender,
    metrics::Metrics,
    netns::in_new_namespace,
    serial,
    shell::run,
    veth,
    wait::until,
};
use tempfile::TempDir;

const PINS: &str = "/sys/fs/bpf/netwatch-test";
const PAYLOAD: usize = 100;
/// With the headers of Ethernet, IPv4 and UDP.
const FRAME: u64 = 142;

/// A pair of veths, and where agents leave what the next one needs.
struct Bed {
    ends: [u32; 2],
    kernel: ByInterface,
    pins: String,
    state: TempDir,
}

impl Bed {
    fn new() -> Self {
        run("ip", &["link", "set", "lo", "up"]);
        let ends = veth::pair(["one", "two"], 1_500);
        let state = TempDir::new().unwrap();
        // Others may run in namespaces of their own at the same time.
        let name = state.path().file_name().unwrap().to_str().unwrap();
        let pins = format!("{PINS}{}", name.replace('.', "-"));
        Self { ends, kernel: of_kernel(), pins, state }
    }

    fn start(&self, more: &[&str]) -> Agent {
        let state = self.state.path().to_str().unwrap();
        let places = ["--pin-dir", &self.pins, "--state-dir", state];
        let what = ["--interface", "one", "--interface", "two", "--flow-idle-timeout", "1h"];
        Agent::start_by(&mut lasting(), &[&places[..], &what, more].concat())
    }

    /// `netwatch stop`.
    fn stop(&self, arguments: &[&str]) -> Output {
        let state = self.state.path().to_str().unwrap();
        let places = ["stop", "--pin-dir", &self.pins, "--state-dir", state];
        lasting().args(places).args(arguments).output().unwrap()
    }

    /// What the kernel has counted since there was an agent, and netwatch, when all is quiet.
    fn quiet(&self, agent: &Agent) -> Metrics {
        let quiet = Quiet::wait_for(agent);
        for (name, netwatch) in &quiet.netwatch {
            assert_eq!(*netwatch, quiet.kernel[name].since(self.kernel[name]), "{name}");
        }
        assert_eq!(quiet.netwatch.len(), 2);
        quiet.metrics
    }

    /// That nothing is left of the last agent.
    fn expect_nothing(self) {
        assert_eq!(attached(), 0);
        assert!(!Path::new(&self.pins).exists());
        assert_eq!(fs::read_dir(self.state.path()).unwrap().count(), 0);
    }
}

/// How many of netwatch's programs are attached to the pair.
fn attached() -> usize {
    let names = ["one", "two"].into_iter();
    let hooks = names.flat_map(|name| Hook::ALL.map(|hook| (name, veth::index(name), hook)));
    let all = hooks.flat_map(|(name, index, hook)| hooked(name, index, hook).unwrap());
    all.filter(Beside::is_ours).count()
}

/// Sends frames of many flows until it is told to stop.
struct Load {
    wanted: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Load {
    fn begin(at: u32, flows: u16, pause: Duration) -> Self {
        let wanted = Arc::new(AtomicBool::new(true));
        let flag = Arc::clone(&wanted);
        let mut sender = Sender::at(at);
        let thread = thread::spawn(move || {
            let frames: Vec<Vec<u8>> = (0..flows).map(|flow| frame(1_000 + flow)).collect();
            let mut sent = 0;
            while flag.load(Ordering::Relaxed) {
                for frame in &frames {
                    sender.send(frame);
                    sent += 1;
                }
                thread::sleep(pause);
            }
            sent
        });
        Self { wanted, thread }
    }

    /// How many frames it has sent.
    fn end(self) -> u64 {
        self.wanted.store(false, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn frame(port: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([192, 0, 2, 2], [192, 0, 2, 1], 64)
        .udp(port, 9)
        .write(&mut bytes, &[0; PAYLOAD])
        .unwrap();
    bytes
}

fn outcome(metrics: &Metrics, name: &str) -> u64 {
    metrics.count("netwatch_packet_outcomes_total", &[("outcome", name)])
}

/// Waits until `seen = each outcome`, of which one is to be counted in a flow.
fn balance(agent: &Agent) -> Metrics {
    agent.until_metrics("seen = each outcome", |metrics| {
        let outcomes = metrics.sum("netwatch_packet_outcomes_total", &[]);
        (metrics.count("netwatch_packets_seen_total", &[]) == outcomes).then(|| metrics.clone())
    })
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn of_agents_killed_under_load_no_packet_is_missing() {
    let _alone = serial::alone();
    let times = env::var("NETWATCH_RESTARTS").map_or(5, |text| text.parse().expect("a number"));
    in_new_namespace(move || {
        let bed = Bed::new();
        let mut agent = bed.start(&[]);
        let load = Load::begin(bed.ends[0], 500, Duration::from_millis(5));
        for time in 0..times {
            // Each one is struck at another moment of its life.
            thread::sleep(Duration::from_millis(time * 137 % 1_700));
            let killed = agent.stop(libc::SIGKILL);
            assert!(!killed.stderr.contains("stopped"), "{}", killed.stderr);
            agent = bed.start(&[]);
            assert!(agent.stderr().contains("goes on with"), "{}", agent.stderr());
        }
        let sent = load.end();
        let metrics = bed.quiet(&agent);
        let at = |name| metrics.count(name, &[("interface", "two")]);
        assert_eq!(at("netwatch_interface_receive_packets_total"), sent);
        let metrics = balance(&agent);
        let forgotten = outcome(&metrics, "agent-restart");
        println!(
            "{times} times killed: {sent} frames sent, {forgotten} packets forgotten by flows"
        );
        // Each flow is an entry that goes on: what the dead had read of it is read again.
        assert_eq!(forgotten, 0);
        assert_eq!(metrics.sum("netwatch_edge_bytes_total", &[]), sent * FRAME);
        assert_eq!(metrics.sum("netwatch_edge_connections_total", &[]), 500);
        assert!(metrics.value("netwatch_agent_away_seconds_total", &[]) > 0.0);
        assert_eq!(agent.stop(libc::SIGTERM).status.code(), Some(0));
        bed.expect_nothing();
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn of_agents_that_are_replaced_nothing_is_forgotten() {
    let _alone = serial::alone();
    in_new_namespace(|| {
        let bed = Bed::new();
        let mut agent = bed.start(&[]);
        let load = Load::begin(bed.ends[0], 300, Duration::from_millis(5));
        for _ in 0..4 {
            thread::sleep(Duration::from_millis(300));
            let left = agent.stop(libc::SIGUSR2);
            assert_eq!(left.status.code(), Some(0));
            assert!(left.stderr.contains("counting goes on"), "{}", left.stderr);
            assert!(!left.log.contains("\"end\""), "they go on: {}", left.log);
            agent = bed.start(&[]);
        }
        let sent = load.end();
        bed.quiet(&agent);
        assert_eq!(outcome(&balance(&agent), "agent-restart"), 0);
        until("the edges have all", || {
            let bytes = agent.metrics().sum("netwatch_edge_bytes_total", &[]);
            assert!(bytes <= sent * FRAME, "{bytes}");
            (bytes == sent * FRAME).then_some(())
        });
        assert_eq!(agent.metrics().sum("netwatch_edge_connections_total", &[]), 300);
        let gap = agent.until_event("the gap", |event| event["event"] == "gap");
        assert!(gap["away_ns"].as_u64().unwrap() > 0, "{gap}");
        drop(agent);
        bed.expect_nothing();
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn flows_that_ended_since_the_last_word_of_a_killed_agent_are_told_to_be_forgotten() {
    let _alone = serial::alone();
    in_new_namespace(|| {
        let bed = Bed::new();
        // A table so small that flows give way to others all the time.
        let agent = bed.start(&["--max-flows", "1024"]);
        let load = Load::begin(bed.ends[0], 20_000, Duration::from_millis(1));
        thread::sleep(Duration::from_millis(2_500));
        agent.stop(libc::SIGKILL);
        let agent = bed.start(&["--max-flows", "1024"]);
        load.end();
        bed.quiet(&agent);
        let forgotten = outcome(&balance(&agent), "agent-restart");
        assert!(forgotten > 0, "the ring had taken thousands of entries since the last word");
        let loss = agent.until_event("the loss", |event| {
            event["event"] == "lost" && event["reason"] == "agent-restart"
        });
        assert!(loss["packets"].as_u64().unwrap() > 0, "{loss}");
        drop(agent);
        bed.expect_nothing();
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_cannot_be_gone_on_with_is_removed_and_the_sums_go_on() {
    let _alone = serial::alone();
    in_new_namespace(|| {
        let bed = Bed::new();
        let agent = bed.start(&[]);
        let mut sender = Sender::at(bed.ends[0]);
        (0..10).for_each(|_| sender.send(&frame(1)));
        bed.quiet(&agent);
        agent.stop(libc::SIGUSR2);
        // Another table needs other maps.
        let agent = bed.start(&["--max-flows", "2048"]);
        assert!(agent.stderr().contains("it has other sizes (--max-flows)"), "{}", agent.stderr());
        let edges = |agent: &Agent| agent.metrics().sum("netwatch_edge_bytes_total", &[]);
        until("ten", || (edges(&agent) == 10 * FRAME).then_some(()));
        let seen = |agent: &Agent| agent.metrics().count("netwatch_packets_seen_total", &[]);
        assert_eq!(seen(&agent), 0, "its interfaces begin anew");
        (0..5).for_each(|_| sender.send(&frame(1)));
        until("five more", || (edges(&agent) == 15 * FRAME).then_some(()));
        agent.stop(libc::SIGKILL);
        // What is written is not to be trusted any more.
        let file = fs::read_dir(bed.state.path()).unwrap().next().unwrap().unwrap().path();
        let mut bytes = fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&file, bytes).unwrap();
        let agent = bed.start(&["--max-flows", "2048"]);
        let said = agent.stderr();
        assert!(said.contains("its checksum is wrong"), "{said}");
        assert!(said.contains("what had been read of it is not known"), "{said}");
        assert_eq!((edges(&agent), seen(&agent)), (0, 0));
        drop(agent);
        bed.expect_nothing();
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn interfaces_that_went_while_nobody_was_there_do_not_come_back() {
    let _alone = serial::alone();
    in_new_namespace(|| {
        let bed = Bed::new();
        let agent = bed.start(&[]);
        let mut sender = Sender::at(bed.ends[0]);
        (0..10).for_each(|_| sender.send(&frame(1)));
        bed.quiet(&agent);
        agent.stop(libc::SIGKILL);
        (0..3).for_each(|_| sender.send(&frame(1)));
        run("ip", &["link", "delete", "one"]);
        // Of the same names, one with the same index.
        let index = bed.ends[0].to_string();
        run("ip", &["link", "add", "one", "index", &index, "type", "veth", "peer", "name", "two"]);
        run("ip", &["link", "set", "two", "up"]);
        run("ip", &["link", "set", "one", "up"]);
        let agent = bed.start(&[]);
        let mut sender = Sender::at(veth::index("one"));
        (0..7).for_each(|_| sender.send(&frame(2)));
        let metrics = until("seven more", || {
            let metrics = agent.metrics();
            let at = |name| metrics.count(name, &[("interface", "two")]);
            (at("netwatch_interface_receive_packets_total") == 7).then_some(metrics)
        });
        let at = |name| metrics.count(name, &[("interface", "one")]);
        assert_eq!(at("netwatch_interface_transmit_packets_total"), 7);
        assert_eq!(metrics.count("netwatch_packets_seen_total", &[]), 2 * (10 + 3 + 7));
        until("all in flows", || {
            let metrics = agent.metrics();
            (outcome(&metrics, "counted") == 40).then_some(())
        });
        drop(agent);
        bed.expect_nothing();
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_agent_beside_another_leaves_and_takes_nothing() {
    let _alone = serial::alone();
    in_new_namespace(|| {
        let bed = Bed::new();
        let first = bed.start(&[]);
        let second = bed.start(&[]);
        let feature = [("feature", "pinning")];
        let has = |agent: &Agent| agent.metrics().count("netwatch_feature_available", &feature);
        assert_eq!((has(&first), has(&second)), (1, 0));
        assert!(second.stderr().contains("another agent runs here"), "{}", second.stderr());
        let mut sender = Sender::at(bed.ends[0]);
        (0..10).for_each(|_| sender.send(&frame(1)));
        bed.quiet(&first);
        bed.quiet(&second);
        second.stop(libc::SIGUSR2);
        first.stop(libc::SIGKILL);
        let third = bed.start(&[]);
        bed.quiet(&third);
        drop(third);
        bed.expect_nothing();
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn stop_ends_the_agent_and_what_counts_when_it_is_told_to() {
    let _alone = serial::alone();
    in_new_namespace(|| {
        let bed = Bed::new();
        let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
        let nobody = bed.stop(&["--socket", "/nowhere"]);
        assert_eq!(nobody.status.code(), Some(1));
        assert!(said(&nobody).contains("no agent answers at /nowhere"), "{}", said(&nobody));
        let nothing = bed.stop(&["--detach"]);
        assert_eq!(nothing.status.code(), Some(0));
        assert!(said(&nothing).contains("there is nothing to remove"), "{}", said(&nothing));

        let agent = bed.start(&[]);
        let socket = agent.socket().to_str().unwrap().to_owned();
        let mut sender = Sender::at(bed.ends[0]);
        (0..10).for_each(|_| sender.send(&frame(1)));
        let left = bed.stop(&["--socket", &socket]);
        assert_eq!(left.status.code(), Some(0), "{}", said(&left));
        assert!(said(&left).contains("counts on for the next one"), "{}", said(&left));
        assert!(agent.stderr().contains("counting goes on"), "{}", agent.stderr());
        (0..10).for_each(|_| sender.send(&frame(1)));
        drop(agent);

        let agent = bed.start(&[]);
        let socket = agent.socket().to_str().unwrap().to_owned();
        assert_eq!(bed.quiet(&agent).count("netwatch_packets_seen_total", &[]), 40);
        let detached = bed.stop(&["--detach", "--socket", &socket]);
        assert_eq!(detached.status.code(), Some(0));
        assert!(said(&detached).contains("nothing counts any more"), "{}", said(&detached));
        drop(agent);
        assert_eq!(attached(), 0);

        bed.start(&[]).stop(libc::SIGKILL);
        assert_eq!(attached(), 4, "it counts on");
        let removed = bed.stop(&["--detach"]);
        assert!(said(&removed).contains("is removed"), "{}", said(&removed));
        bed.expect_nothing();
    });
}

/// A directory that others own would keep an agent from pinning for ever.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn who_may_not_observe_leaves_nothing_in_the_way() {
    let _alone = serial::alone();
    in_new_namespace(|| {
        let bed = Bed::new();
        let mut refused = Command::new("setpriv");
        refused.args(["--bounding-set", "-all", "--inh-caps", "-all"]);
        refused.arg(env!("CARGO_BIN_EXE_netwatch"));
        refused.args(["run", "--socket", "none", "--web.listen-address", "127.0.0.1:0"]);
        let output = refused.args(["--pin-dir", &bed.pins]).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        assert!(!Path::new(&bed.pins).exists());

        let agent = bed.start(&[]);
        let said = bed.stop(&["--detach", "--socket", "/nowhere"]);
        assert_eq!(said.status.code(), Some(1));
        let text = String::from_utf8_lossy(&said.stderr);
        assert!(text.contains("an agent runs in this network namespace"), "{text}");
        assert!(Path::new(&bed.pins).exists(), "nor does who asks the wrong one");
        drop(agent);

        fs::create_dir(&bed.pins).unwrap();
        fs::set_permissions(&bed.pins, fs::Permissions::from_mode(0o777)).unwrap();
        let agent = bed.start(&[]);
        let warning = format!("goes on without: {}: somebody else may write there", bed.pins);
        assert!(agent.stderr().contains(&warning), "{}", agent.stderr());
        drop(agent);
        fs::remove_dir(&bed.pins).unwrap();
        bed.expect_nothing();
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn filters_below_clsact_count_on_into_the_same_maps() {
    let _alone = serial::alone();
    in_new_namespace(|| {
        let bed = Bed::new();
        let agent = bed.start(&["--attach-mode", "clsact"]);
        let mut sender = Sender::at(bed.ends[0]);
        (0..10).for_each(|_| sender.send(&frame(1)));
        agent.stop(libc::SIGKILL);
        (0..10).for_each(|_| sender.send(&frame(1)));
        let agent = bed.start(&["--attach-mode", "clsact"]);
        (0..10).for_each(|_| sender.send(&frame(1)));
        let metrics = bed.quiet(&agent);
        assert_eq!(metrics.count("netwatch_packets_seen_total", &[]), 60);
        drop(agent);
        bed.expect_nothing();
    });
}
