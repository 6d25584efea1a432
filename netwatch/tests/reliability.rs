//! What happens on a host in months: interfaces come and go, others detach our programs, something is exhausted or broken.
//! Each fault is brought about; then what the user sees, what is counted, and how it heals. docs/reliability.md has the list.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

#[path = "reliability/agents.rs"]
mod agents;
#[path = "reliability/attaching.rs"]
mod attaching;
#[path = "reliability/churn.rs"]
mod churn;
#[path = "reliability/disk.rs"]
mod disk;
#[path = "reliability/docker.rs"]
mod docker;
#[path = "reliability/engine.rs"]
mod engine;
#[path = "reliability/moves.rs"]
mod moves;
#[path = "reliability/others.rs"]
mod others;
#[path = "reliability/scarce.rs"]
mod scarce;
#[path = "reliability/soak.rs"]
mod soak;

use support::{
    agent::Agent,
    counters::Quiet,
    frames::{Sender, datagram},
    metrics::Metrics,
    netns::in_new_namespace,
    serial,
    shell::run,
    veth,
    wait::until,
};

/// Frames of one look at whether all is counted.
const FRAMES: u16 = 500;
/// Flows last as long as the test.
const PATIENT: [&str; 4] = ["--flow-idle-timeout", "1h", "--flow-active-timeout", "1h"];

/// Runs a test in a new namespace with a loopback device, and no other meanwhile.
fn alone(body: impl FnOnce() + Send + 'static) {
    let _alone = serial::alone();
    in_new_namespace(|| {
        run("ip", &["link", "set", "lo", "up"]);
        body();
    });
}

/// The same with a veth pair `one` and `two`, both observed, and a sender at the first.
fn observed(more: &'static [&'static str], body: impl FnOnce(Agent, Sender) + Send + 'static) {
    alone(|| {
        let [one, _] = veth::pair(["one", "two"], 1_500);
        let agent = Agent::start(&arguments(more));
        body(agent, Sender::at(one));
    });
}

fn arguments<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let both = ["--interface", "one", "--interface", "two"];
    [&both, &PATIENT[..], more].concat()
}

fn send(sender: &mut Sender, count: u16) {
    for port in 0..count {
        sender.send(&datagram(1_000 + port));
    }
}

/// What passes from now on is counted as the kernel counts it, to the packet and the byte, and the books balance.
fn assert_counts_exactly(agent: &Agent, sender: &mut Sender) {
    let before = Quiet::wait_for(agent);
    send(sender, FRAMES);
    let after = Quiet::wait_for(agent);
    for (name, kernel) in &after.kernel {
        let kernel = kernel.since(before.kernel[name]);
        let netwatch = after.netwatch[name].since(before.netwatch[name]);
        assert_eq!(netwatch, kernel, "{name}");
    }
    let packets =
        |quiet: &Quiet| quiet.netwatch.values().map(|it| it.transmit_packets).sum::<u64>();
    assert!(packets(&after) - packets(&before) >= u64::from(FRAMES), "nothing was observed");
    assert_books_balance(&after.metrics);
}

/// Every packet that was seen is accounted for.
fn assert_books_balance(metrics: &Metrics) {
    for unit in ["packet", "byte"] {
        let seen = metrics.count(&format!("netwatch_{unit}s_seen_total"), &[]);
        assert_eq!(metrics.sum(&format!("netwatch_{unit}_outcomes_total"), &[]), seen, "{unit}s");
    }
}

/// Waits until a counter without labels has this value.
fn until_count(agent: &Agent, metric: &str, at_least: u64) -> u64 {
    agent.until_metrics(metric, |metrics| {
        let count = metrics.count(metric, &[]);
        (count >= at_least).then_some(count)
    })
}

/// Waits until the agent's own log says something.
fn until_said(agent: &Agent, words: &str) {
    until(&format!("it says: {words}"), || agent.stderr().contains(words).then_some(()));
}

/// What `netwatch doctor` says of this agent.
fn doctor(agent: &Agent) -> String {
    let mut command = support::agent::netwatch();
    let output = command
        .args(["doctor", "--web.listen-address", &agent.address.to_string(), "--socket"])
        .arg(agent.socket())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}
