//! Readers that ask for nonsense, or for too much, or take nothing: the agent does not notice.

use std::{
    io::{BufReader, ErrorKind, Read as _, Write as _},
    net::Shutdown,
    os::unix::net::UnixStream,
};

use etherparse::PacketBuilder;
use serde_json::Value;

use super::{
    crowd::{ask, following, next},
    datagram, flows, log, observed, observed_with, send,
    support::{agent::Agent, frames::Sender, wait::PATIENCE},
};

const VALID: &str = r#"{"command":"flows","follow":false,"last":1,"rank":null,"since_ns":0,"until_ns":9000000000000000000,"style":{"format":"json","colour":false},"filter":[{"is":{"container":"*"},"not":true},{"is":{"port":[17,9]}},{"is":{"ip":"0.0.0.0/0"}},{"is":{"events":["start"]}}]}"#;

/// A valid request with some damage, or bytes of no sense at all.
fn damaged(random: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = VALID.as_bytes().to_vec();
    match random.u8(..6) {
        0 => bytes = (0..random.usize(..600)).map(|_| random.u8(..)).collect(),
        1 => bytes.truncate(random.usize(..bytes.len())),
        2 => bytes = "[".repeat(random.usize(1..16_000)).into_bytes(),
        3 => {
            let long = "x".repeat(random.usize(1..40_000));
            bytes = format!("{{\"command\":\"{long}\"").into_bytes();
        }
        _ => {
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
        }
    }
    bytes
}

/// All that is answered until the agent closes.
fn answer(agent: &Agent, request: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(agent.socket()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // One that is refused early may be closed already.
    let _ = stream.write_all(request).and_then(|()| stream.write_all(b"\n"));
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error}"),
        _ => answer,
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn nonsense_is_refused_each_time() {
    observed(|agent, mut sender| {
        send(&agent, &mut sender, 1_000..1_003);
        let expected = log(&agent, "\"start\"");
        assert_eq!(
            answer(&agent, VALID.as_bytes()),
            format!("{}\n{{\"event\":\"done\"}}\n", expected[2]).as_bytes()
        );
        let mut random = fastrand::Rng::with_seed(7);
        let mut refused = 0;
        for round in 0..400 {
            let request = damaged(&mut random);
            let answer = answer(&agent, &request);
            // A reset takes the answer with it; damage to a number or a pattern may leave a valid request.
            for line in String::from_utf8(answer).unwrap().lines() {
                let line: Value = serde_json::from_str(line).unwrap();
                match line["event"].as_str().unwrap() {
                    "refused" => {
                        assert!(!line["reason"].as_str().unwrap().is_empty());
                        refused += 1;
                    }
                    "start" | "done" => {}
                    other => panic!("round {round}: {other} for {request:?}"),
                }
            }
        }
        assert!(refused > 200, "{refused}");
        let metrics = agent.metrics();
        assert!(metrics.count("netwatch_flow_readers_refused_total", &[]) >= refused);
        assert_eq!(flows(&agent, &["-o", "json"]), expected, "as if nothing had been");
        assert_eq!(agent.metrics().count("netwatch_flow_readers", &[]), 0);
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_hundred_at_once_are_served_or_told() {
    observed(|agent, mut sender| {
        send(&agent, &mut sender, 1_000..1_001);
        let first = log(&agent, "\"start\"").remove(0);
        let everything = following("");
        let mut clients: Vec<_> = (0..100).map(|_| ask(&agent, &everything)).collect();
        let firsts: Vec<String> = clients.iter_mut().map(next).collect();
        let served: Vec<bool> = firsts.iter().map(|line| *line == first).collect();
        assert_eq!(served.iter().filter(|served| **served).count(), 64);
        let refusal = r#"{"event":"refused","reason":"64 readers are connected already"}"#;
        assert_eq!(firsts.iter().filter(|line| *line == refusal).count(), 36);
        let metrics = agent.metrics();
        assert_eq!(metrics.count("netwatch_flow_readers", &[]), 64);
        assert_eq!(metrics.count("netwatch_flow_readers_refused_total", &[]), 36);

        send(&agent, &mut sender, 2_000..2_200);
        let expected = log(&agent, "\"start\"");
        let mut served = served.iter();
        clients.retain(|_| *served.next().unwrap());
        for client in &mut clients {
            for line in &expected[1..] {
                assert_eq!(next(client), *line);
            }
        }
        agent.until_metrics("all lines are counted", |metrics| {
            let lines = metrics.count("netwatch_flow_reader_lines_total", &[]);
            (lines == 64 * 201).then_some(())
        });
        drop(clients);
        agent.until_metrics("all have gone", |metrics| {
            (metrics.count("netwatch_flow_readers", &[]) == 0).then_some(())
        });
        assert_eq!(agent.metrics().count("netwatch_flow_reader_lines_lost_total", &[]), 0);
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn one_that_says_nothing_is_sent_away() {
    observed(|agent, mut sender| {
        let mut silent = BufReader::new(UnixStream::connect(agent.socket()).unwrap());
        silent.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
        let mut slow = ask(&agent, "{\"command\"");
        // On a machine that is busy it may have been sent away by now.
        let _ = slow.get_mut().write_all(b":");
        send(&agent, &mut sender, 1_000..1_010);
        assert_eq!(flows(&agent, &["-o", "json"]), log(&agent, "\"start\""));
        assert_eq!(next(&mut silent), r#"{"event":"refused","reason":"no request within 5 s"}"#);
        assert_eq!(silent.read(&mut [0]).unwrap(), 0);
        assert!(next(&mut slow).starts_with(r#"{"event":"refused","#));
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn as_many_watchers_as_there_may_be_get_their_pages() {
    observed(|agent, mut sender| {
        send(&agent, &mut sender, 1_000..1_100);
        let request = r#"{"command":"flows","follow":true,"style":{"format":"json"},"rank":{"sort":"packets","top":2}}"#;
        let mut watchers: Vec<_> = (0..64).map(|_| ask(&agent, request)).collect();
        // The flow of the second page has more packets than the others by then.
        for (round, port) in [(0, 0), (1, 1_050_u16)] {
            for _ in 0..round * 3 {
                sender.send(&datagram(port));
            }
            for watcher in &mut watchers {
                loop {
                    let page = [next(watcher), next(watcher), next(watcher)];
                    assert_eq!(page[2], r#"{"event":"page"}"#);
                    // One that was on its way already.
                    if round == 0 || page[0].contains(&format!("\"port\":{port}")) {
                        break;
                    }
                }
            }
            assert_eq!(agent.metrics().count("netwatch_flow_readers", &[]), 64);
        }
        assert_eq!(agent.metrics().count("netwatch_flow_log_lines_lost_total", &[]), 0);
        let stopped = agent.stop(libc::SIGTERM);
        assert!(stopped.status.success(), "{}", stopped.stderr);
        for watcher in &mut watchers {
            while next(watcher) != r#"{"event":"done"}"# {}
        }
    });
}

/// A UDP packet of one of very many flows.
fn one_of_many(number: u32) -> Vec<u8> {
    let [_, high, low, port] = number.to_be_bytes();
    let step = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([198, 18, high, low], [192, 0, 2, 1], 64)
        .udp(1_000 + u16::from(port), 9);
    let mut bytes = Vec::new();
    step.write(&mut bytes, &[0; 18]).unwrap();
    bytes
}

/// Sends so many flows more, and waits until the agent has told of them.
fn flood(agent: &Agent, sender: &mut Sender, all: &mut u32, more: u32) {
    for number in *all..*all + more {
        sender.send(&one_of_many(number));
    }
    *all += more;
    agent.until_metrics("all have started", |metrics| {
        (metrics.count("netwatch_flows_started_total", &[]) == u64::from(*all)).then_some(())
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn one_that_never_reads_is_told_in_the_end_what_it_lost() {
    // Without updates and ends each flow is one event.
    observed_with(&["--max-flows", "524288"], |agent, mut sender| {
        let mut all = 0;
        flood(&agent, &mut sender, &mut all, 1);
        let mut deaf = ask(&agent, &following(""));
        assert!(next(&mut deaf).contains("\"start\""));
        // Until the history has lost what the deaf one has not taken.
        let first = ["--since", "1h", "--from", "198.18.0.0", "-n", "1", "-o", "json"];
        while !flows(&agent, &first).is_empty() {
            assert!(all < 500_000, "the history has room for all of it");
            flood(&agent, &mut sender, &mut all, 10_000);
        }
        let (mut lines, mut missed) = (1, 0);
        while lines + missed < u64::from(all) {
            let line = next(&mut deaf);
            if line.starts_with(r#"{"event":"#) {
                let line: Value = serde_json::from_str(&line).unwrap();
                assert_eq!(line["event"], "missed");
                missed += line["events"].as_u64().unwrap();
            } else {
                assert!(line.contains("\"start\""), "{line}");
                lines += 1;
            }
        }
        assert_eq!(lines + missed, u64::from(all));
        let lost = agent.metrics().count("netwatch_flow_reader_lines_lost_total", &[]);
        assert_eq!(lost, missed);
        assert!(missed > 0);
    });
}
