//! Agents that are killed while containers talk: the counters of the last one against the kernel's own.
//!
//! `NETWATCH_RESTARTS` says how often; with `--nocapture` the test says what was counted.

use std::{cell::Cell, env, thread, time::Duration};

use super::{
    QUICK,
    support::{
        counters::Quiet,
        docker::{Container, unique},
        lasting::Lasting,
        serial::host,
        wait::until,
    },
};

/// Fetches again and again until it is told to stop, and counts.
const LOAD: &str = "n=0; while [ ! -e /stop ]; do \
    for page in small small big; do wget -q -O /dev/null http://$0/$page && n=$((n + 1)); done; \
    done; echo $n > /count; exec sleep 1000";

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn of_containers_no_packet_is_missing_however_often_the_agent_is_killed() {
    let _host = host();
    let times = env::var("NETWATCH_RESTARTS").map_or(4, |text| text.parse().expect("a number"));
    let places = Lasting::new();
    let start = || places.start(&QUICK);
    let mut agent = start();
    let web = Container::web(&unique("web"), &[]);
    let server = web.address("bridge");
    web.until_serving();
    let client = Container::run(&unique("client"), &[], &["/bin/sh", "-c", LOAD, &server]);
    agent.until_named(&web.name);
    agent.until_named(&client.name);
    let mut late = Vec::new();
    for time in 0..times {
        thread::sleep(Duration::from_millis(time * 211 % 1_500));
        agent.stop(libc::SIGKILL);
        if time == 1 {
            // Nobody is there to attach to it: what it says before it is seen is a gap.
            late.push(Container::idle(&unique("late"), &[]));
        }
        agent = start();
    }
    client.exec(&["/bin/touch", "/stop"]);
    let fetched: u64 =
        until("its count", || client.try_exec(&["/bin/cat", "/count"]).ok()?.trim().parse().ok());

    let quiet = Quiet::wait_for(&agent);
    let metrics = &quiet.metrics;
    for container in [&web, &client] {
        let interface = agent.until_named(&container.name);
        assert_eq!(quiet.netwatch[&interface], quiet.kernel[&interface], "{}", container.name);
        let labels = [("container", container.name.as_str())];
        let veth = [("interface", interface.as_str())];
        for (from, of) in [("receive", "transmit"), ("transmit", "receive")] {
            assert_eq!(
                metrics.sum(&format!("netwatch_container_{from}_bytes_total"), &labels),
                metrics.count(&format!("netwatch_interface_{of}_wire_bytes_total"), &veth),
            );
        }
    }
    for container in &late {
        agent.until_named(&container.name);
    }
    let metrics = agent.until_metrics("seen = each outcome", |metrics| {
        let outcomes = metrics.sum("netwatch_packet_outcomes_total", &[]);
        (metrics.count("netwatch_packets_seen_total", &[]) == outcomes).then(|| metrics.clone())
    });
    let forgotten =
        metrics.count("netwatch_packet_outcomes_total", &[("outcome", "agent-restart")]);
    let edge = [
        ("client", client.name.as_str()),
        ("server", web.name.as_str()),
        ("protocol", "tcp"),
        ("port", "80"),
    ];
    println!(
        "{times} times killed, {fetched} pages, {} bytes between them, {forgotten} packets forgotten by flows",
        metrics.sum("netwatch_edge_bytes_total", &edge)
    );
    assert_eq!(forgotten, 0);
    let told = Cell::new(0);
    agent.until_metrics("each connection once", |metrics| {
        let connections = metrics.sum("netwatch_edge_connections_total", &edge);
        if told.replace(connections) != connections {
            println!("{connections} connections");
        }
        assert!(connections <= fetched, "{connections} of {fetched}");
        // Of two that used the same ports while nobody read, the second may be taken for the rest of the first.
        (fetched - connections <= times).then_some(())
    });
}
