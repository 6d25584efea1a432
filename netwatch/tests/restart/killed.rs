//! Agents that are killed or replaced under load.

use std::{
    collections::BTreeSet,
    env, fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use super::{
    Load, WHAT, balance, outcome,
    support::{
        events::Events,
        frames::{DATAGRAM, Sender, datagram},
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

/// A table so small that flows give way to others all the time: thousands of entries have been taken out since the last word.
const SMALL: [&str; 2] = ["--max-flows", "1024"];

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_a_killed_agent_took_out_of_the_table_is_in_its_notes() {
    with_bed(|bed| {
        let mut agent = bed.start(&SMALL);
        let load = Load::begin(bed.ends[0], 3_000, Duration::from_millis(100));
        for time in 0..4 {
            thread::sleep(Duration::from_millis(1_000 + time * 317));
            agent.stop(libc::SIGKILL);
            agent = bed.start(&SMALL);
        }
        load.end();
        let metrics = bed.quiet(&agent);
        assert!(metrics.count("netwatch_flow_evictions_total", &[]) > 10_000);
        assert_eq!(outcome(&balance(&agent), "agent-restart"), 0);
        assert_eq!(agent.stop(libc::SIGTERM).status.code(), Some(0));
        bed.expect_nothing();
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn without_its_notes_they_are_told_to_be_forgotten() {
    with_bed(|bed| {
        let agent = bed.start(&SMALL);
        let load = Load::begin(bed.ends[0], 20_000, Duration::from_millis(1));
        thread::sleep(Duration::from_millis(2_500));
        agent.stop(libc::SIGKILL);
        let notes = bed.places.notes();
        assert!(!notes.is_empty());
        for note in notes {
            fs::remove_file(note).unwrap();
        }
        let agent = bed.start(&SMALL);
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

/// Flows that begin and end all the time: what an agent has no time to tell, the next one does, and some is told by both.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn of_agents_that_are_killed_each_flow_is_in_the_log_of_one() {
    const KILLS: u64 = 6;
    with_bed(|bed| {
        let start = || bed.places.start(&[&WHAT[..4], &["--flow-idle-timeout", "1s"]].concat());
        let mut agent = start();
        let wanted = Arc::new(AtomicBool::new(true));
        let (flag, at) = (Arc::clone(&wanted), bed.ends[0]);
        let load = thread::spawn(move || {
            let mut sender = Sender::at(at);
            let ports = (1_000..u16::MAX).take_while(|_| flag.load(Ordering::Relaxed));
            let send = |port| {
                sender.send(&datagram(port));
                thread::sleep(Duration::from_millis(1));
            };
            ports.map(send).count()
        });
        let mut ended = BTreeSet::new();
        let mut take = |log: &str| {
            let ends = Events::parse(log).0.into_iter().filter(|event| event["event"] == "end");
            ended.extend(ends.filter_map(|event| event["client"]["port"].as_u64()));
            ended.len()
        };
        for time in 0..KILLS {
            thread::sleep(Duration::from_millis(1_000 + time * 137));
            take(&agent.stop(libc::SIGKILL).log);
            agent = start();
        }
        wanted.store(false, Ordering::Relaxed);
        let sent = load.join().unwrap();
        let metrics = bed.quiet(&agent);
        assert_eq!(outcome(&metrics, "agent-restart"), 0);
        assert_eq!(take(&agent.stop(libc::SIGTERM).log), sent);
        bed.expect_nothing();
    });
}
