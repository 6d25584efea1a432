//! Agents that are killed or replaced under load.

use std::{env, thread, time::Duration};

use super::{
    Load, balance, outcome,
    support::{
        frames::{DATAGRAM, datagram},
        wait::until,
    },
    with_bed,
};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn of_agents_killed_under_load_no_packet_is_missing() {
    let times = env::var("NETWATCH_RESTARTS").map_or(5, |text| text.parse().expect("a number"));
    with_bed(move |bed| {
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
        assert_eq!(metrics.sum("netwatch_edge_bytes_total", &[]), sent * DATAGRAM);
        assert_eq!(metrics.sum("netwatch_edge_connections_total", &[]), 500);
        assert!(metrics.value("netwatch_agent_away_seconds_total", &[]) > 0.0);
        assert_eq!(agent.stop(libc::SIGTERM).status.code(), Some(0));
        bed.expect_nothing();
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn of_agents_that_are_replaced_nothing_is_forgotten() {
    with_bed(|bed| {
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
            assert!(bytes <= sent * DATAGRAM, "{bytes}");
            (bytes == sent * DATAGRAM).then_some(())
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
    with_bed(|bed| {
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
fn filters_below_clsact_count_on_into_the_same_maps() {
    with_bed(|bed| {
        let agent = bed.start(&["--attach-mode", "clsact"]);
        let mut sender = bed.send_ten();
        agent.stop(libc::SIGKILL);
        (0..10).for_each(|_| sender.send(&datagram(1)));
        let agent = bed.start(&["--attach-mode", "clsact"]);
        (0..10).for_each(|_| sender.send(&datagram(1)));
        let metrics = bed.quiet(&agent);
        assert_eq!(metrics.count("netwatch_packets_seen_total", &[]), 60);
        drop(agent);
        bed.expect_nothing();
    });
}
