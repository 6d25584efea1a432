//! Agents that are killed, replaced and stopped, in a namespace of their own: what was counted is counted once, and goes on.
//!
//! `NETWATCH_RESTARTS` says how often an agent is killed under load, `NETWATCH_PREVIOUS` which program was there before this
//! one. With `--nocapture` the tests say what they counted.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

#[path = "restart/killed.rs"]
mod killed;
#[path = "restart/left.rs"]
mod left;
#[path = "restart/upgraded.rs"]
mod upgraded;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use netwatch::datapath::{Beside, Hook, hooked};
use support::{
    agent::Agent,
    counters::{ByInterface, Quiet, of_kernel},
    frames::{Sender, datagram},
    lasting::Lasting,
    metrics::Metrics,
    netns::in_new_namespace,
    serial,
    shell::run,
    veth,
    wait::until,
};

/// A pair of veths, and where agents leave what the next one needs.
struct Bed {
    ends: [u32; 2],
    kernel: ByInterface,
    places: Lasting,
}

/// What each agent is told to observe.
const WHAT: [&str; 6] = ["--interface", "one", "--interface", "two", "--flow-idle-timeout", "1h"];

/// Runs a test on one in a namespace of its own.
fn with_bed(body: impl FnOnce(Bed) + Send + 'static) {
    let _alone = serial::alone();
    in_new_namespace(|| {
        run("ip", &["link", "set", "lo", "up"]);
        let ends = veth::pair(["one", "two"], 1_500);
        body(Bed { ends, kernel: of_kernel(), places: Lasting::new() });
    });
}

impl Bed {
    fn start(&self, more: &[&str]) -> Agent {
        self.places.start(&[&WHAT, more].concat())
    }

    /// Ten packets of one flow, and who can send more.
    fn send_ten(&self) -> Sender {
        let mut sender = Sender::at(self.ends[0]);
        (0..10).for_each(|_| sender.send(&datagram(1)));
        sender
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
        until_nothing_is_attached();
        self.places.expect_nothing();
    }
}

/// Whoever lists the kernel's links, a test elsewhere, holds each of them for a moment.
fn until_nothing_is_attached() {
    until("nothing is attached", || (attached() == 0).then_some(()));
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
            let frames: Vec<Vec<u8>> = (0..flows).map(|flow| datagram(1_000 + flow)).collect();
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
