//! Interfaces that change under traffic: renamed, moved between bridges, made anew under an old index; bridges made anew.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::{
    PATIENT, alone, assert_books_balance, assert_counts_exactly, datagram, observed,
    support::{agent::Agent, counters::Quiet, frames::Sender, shell::run, veth},
};

fn until_attached(agent: &Agent, name: &str, is_so: bool) {
    agent.until_metrics(&format!("{name} attached: {is_so}"), |metrics| {
        let has = metrics.has("netwatch_interface_info", &[("interface", name)]);
        (has == is_so).then_some(())
    });
}

/// Sends at an interface while `body` runs.
fn under_traffic(index: u32, body: impl FnOnce()) -> u64 {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let mut sender = Sender::at(index);
    let traffic = thread::spawn(move || {
        let frame = datagram(1_000);
        let mut sent = 0;
        while !stopped.load(Ordering::Relaxed) {
            sent += u64::from(sender.try_send(&frame));
        }
        sent
    });
    body();
    stop.store(true, Ordering::Relaxed);
    traffic.join().unwrap()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn renamed_under_traffic_not_a_packet_is_missed() {
    observed(&["--interface", "name*"], |agent, mut sender| {
        assert_counts_exactly(&agent, &mut sender);
        let index = veth::index("one");
        let before = Quiet::wait_for(&agent).netwatch["one"].transmit_packets;
        let mut name = String::from("one");
        let sent = under_traffic(index, || {
            for number in 0..50 {
                let next = format!("name{number}");
                // Before Linux 6.2 only what is down can be renamed.
                run("ip", &["link", "set", &name, "name", &next]);
                name = next;
            }
            until_attached(&agent, &name, true);
        });
        let quiet = Quiet::wait_for(&agent);
        assert_eq!(quiet.netwatch[&name].transmit_packets, before + sent);
        assert_eq!(quiet.netwatch, quiet.kernel);
        assert_books_balance(&quiet.metrics);
        assert_eq!(quiet.metrics.count("netwatch_attach_failures_total", &[]), 0);
        assert_eq!(quiet.metrics.count("netwatch_detached_by_others_total", &[]), 0);
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn moved_between_bridges_under_traffic_not_a_packet_is_missed() {
    alone(|| {
        let [one, _] = veth::pair(["one", "two"], 1_500);
        for bridge in ["left", "right"] {
            run("ip", &["link", "add", bridge, "type", "bridge"]);
        }
        run("ip", &["link", "set", "one", "master", "left"]);
        // Its peer is here: it is observed as long as it is a port.
        let agent = Agent::start(&[&PATIENT[..], &["--interface", "one"]].concat());
        let sent = under_traffic(one, || {
            for _ in 0..20 {
                for bridge in ["right", "left"] {
                    run("ip", &["link", "set", "one", "master", bridge]);
                }
                run("ip", &["link", "set", "one", "nomaster"]);
            }
        });
        let quiet = Quiet::wait_for(&agent);
        assert_eq!(quiet.netwatch["one"].transmit_packets, sent);
        assert_eq!(quiet.netwatch, quiet.kernel);
        assert_books_balance(&quiet.metrics);
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_index_that_comes_again_is_another_interface() {
    alone(|| {
        veth::be_silent();
        let agent = Agent::start(&[&PATIENT[..], &["--interface", "come*"]].concat());
        let mut seen = 0;
        for round in 0..15u64 {
            let name = format!("come{round}");
            let add = ["link", "add", &name, "index", "5000", "type", "veth", "peer", "name", "go"];
            run("ip", &add);
            until_attached(&agent, &name, true);
            for end in [&*name, "go"] {
                run("ip", &["link", "set", end, "up"]);
            }
            // Sent by the other end: an end of each flow is behind the interface.
            let mut sender = Sender::at(veth::index("go"));
            for port in 0..=round {
                sender.send(&datagram(1_000 + u16::try_from(port).unwrap()));
            }
            let quiet = Quiet::wait_for(&agent);
            assert_eq!(quiet.netwatch[&name].receive_packets, round + 1, "from zero");
            assert_eq!(quiet.netwatch, quiet.kernel);
            seen += round + 1;
            run("ip", &["link", "delete", &name]);
            until_attached(&agent, &name, false);
        }
        let metrics = agent.metrics();
        assert_eq!(metrics.count("netwatch_packets_seen_total", &[]), seen);
        assert_books_balance(&metrics);
        // Each is a flow of its own, though they have the same addresses at the same index.
        assert_eq!(metrics.count("netwatch_flows_started_total", &[]), seen);
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn docker0_deleted_and_made_again_is_observed_again() {
    alone(|| {
        let [one, _] = veth::pair(["one", "two"], 1_500);
        let make = || {
            run("ip", &["link", "add", "docker0", "type", "bridge"]);
            run("ip", &["link", "set", "docker0", "up"]);
            run("ip", &["link", "set", "one", "master", "docker0"]);
        };
        make();
        let agent = Agent::start(
            &[&PATIENT[..], &["--interface", "docker0", "--interface", "one"]].concat(),
        );
        for _ in 0..10 {
            assert_counts_exactly(&agent, &mut Sender::at(one));
            assert_counts_exactly(&agent, &mut Sender::at(veth::index("docker0")));
            run("ip", &["link", "delete", "docker0"]);
            until_attached(&agent, "docker0", false);
            make();
            until_attached(&agent, "docker0", true);
        }
        assert_eq!(agent.metrics().count("netwatch_attach_failures_total", &[]), 0);
        assert_eq!(agent.metrics().count("netwatch_attached_interfaces", &[]), 2);
    });
}
