//! `netwatch flows` and the real agent, in a namespace of its own: what the socket says is what the flow log says.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

#[path = "flows/abuse.rs"]
mod abuse;
#[path = "flows/burst.rs"]
mod burst;
#[path = "flows/crowd.rs"]
mod crowd;
#[path = "flows/largest.rs"]
mod largest;
#[path = "flows/logs.rs"]
mod logs;
#[path = "flows/own.rs"]
mod own;
#[path = "flows/stuck.rs"]
mod stuck;
#[path = "flows/trouble.rs"]
mod trouble;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    ops::Range,
    process::Stdio,
};

use support::{
    agent::{Agent, end_of, netwatch, send as signal},
    frames::{Sender, datagram},
    netns::in_new_namespace,
    serial,
    shell::run,
    user, veth,
    wait::until,
};

/// Runs a test with an agent that observes one end of a veth pair, and a sender at it.
fn observed(body: impl FnOnce(Agent, Sender) + Send + 'static) {
    observed_with(&[], body);
}

/// The same with more arguments.
fn observed_with(more: &'static [&'static str], body: impl FnOnce(Agent, Sender) + Send + 'static) {
    let _alone = serial::alone();
    in_new_namespace(|| {
        run("ip", &["link", "set", "lo", "up"]);
        let [one, _] = veth::pair(["one", "two"], 1_500);
        let patient = ["--flow-idle-timeout", "1h", "--flow-active-timeout", "1h"];
        let agent = Agent::start(&[&["--interface", "one"], &patient[..], more].concat());
        body(agent, Sender::at(one));
    });
}

/// Sends a UDP packet from each of these ports of 192.0.2.2, and waits until the flow log has them all.
fn send(agent: &Agent, sender: &mut Sender, ports: Range<u16>) {
    let all = log(agent, "start").len() + ports.len();
    for port in ports {
        sender.send(&datagram(port));
    }
    until("all flows in the log", || (log(agent, "start").len() == all).then_some(()));
}

/// Lines of the flow log with a word in them.
fn log(agent: &Agent, word: &str) -> Vec<String> {
    let text = fs::read_to_string(agent.log()).unwrap();
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    complete.lines().filter(|line| line.contains(word)).map(str::to_owned).collect()
}

/// What `netwatch flows` says.
fn flows(agent: &Agent, arguments: &[&str]) -> Vec<String> {
    let mut command = netwatch();
    let output =
        command.args(["flows", "--socket"]).arg(agent.socket()).args(arguments).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaint.is_empty(), "{arguments:?}: {complaint}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn filtered_flows_are_exactly_those_of_the_flow_log() {
    observed(|agent, mut sender| {
        send(&agent, &mut sender, 1_000..1_400);
        let all = log(&agent, "\"start\"");
        assert_eq!(all.len(), 400);
        let json = |arguments: &[&str]| flows(&agent, &[&["-o", "json"], arguments].concat());
        assert_eq!(json(&["--since", "1h"]), all);
        assert_eq!(json(&[]), all[380..], "a screenful");
        assert_eq!(json(&["-n", "3"]), all[397..]);
        for (arguments, expected) in [
            (&["--port", "1007"] as &[&str], 1),
            (&["--port", "udp/1007", "--port", "1008"], 2),
            (&["--port", "tcp/1007"], 0),
            (&["--port", "9", "--from", "192.0.2.2"], 400),
            (&["--to", "192.0.2.2"], 0),
            (&["--ip", "192.0.2.0/31"], 400),
            (&["--not", "--port", "1007"], 399),
            (&["--proto", "udp", "--events", "start"], 400),
            (&["--events", "update,end,lost,sample"], 0),
            (&["--container", "*"], 0),
            (&["--until", "1h"], 0),
        ] {
            let lines = json(&[&["--since", "1h"], arguments].concat());
            assert_eq!(lines.len(), expected, "{arguments:?}");
            assert!(lines.iter().all(|line| all.contains(line)), "{arguments:?}");
        }
        assert!(json(&["--port", "1007"])[0].contains("\"port\":1007"));
        let text = flows(&agent, &["--port", "1007"]);
        assert_eq!(text.len(), 1);
        assert!(text[0].contains(" start udp ") && !text[0].contains('\u{1b}'), "{text:?}");
    });
}

/// In each format, and one after the other.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn from_its_log_an_agent_says_the_same_as_from_its_memory() {
    observed(|agent, mut sender| {
        send(&agent, &mut sender, 1_000..1_200);
        let log = agent.log();
        for format in ["text", "wide", "json", "csv"] {
            for filter in [&["--since", "1h"] as &[&str], &["--port", "1007"], &["-n", "7"]] {
                let asked = [&["-o", format], filter].concat();
                let output =
                    netwatch().args(["flows", "--file"]).arg(&log).args(&asked).output().unwrap();
                assert_eq!(output.status.code(), Some(0));
                let kept = String::from_utf8(output.stdout).unwrap();
                let kept: Vec<&str> = kept.lines().collect();
                assert_eq!(kept, flows(&agent, &asked), "{format} {filter:?}");
            }
        }
    });
}

/// Nothing else asks the agent to make lines.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn without_a_flow_log_there_are_flows_all_the_same() {
    let _alone = serial::alone();
    in_new_namespace(|| {
        run("ip", &["link", "set", "lo", "up"]);
        let [one, _] = veth::pair(["one", "two"], 1_500);
        let folder = user::folder();
        let socket = folder.path().join("socket");
        let mut agent = netwatch()
            .args(["run", "--interface", "one", "--flow-active-timeout", "1s", "--socket"])
            .arg(&socket)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut sender = Sender::at(one);
        let flows = || {
            let mut command = netwatch();
            let output =
                command.args(["flows", "--port", "1000", "--socket"]).arg(&socket).output();
            String::from_utf8(output.unwrap().stdout).unwrap()
        };
        let seen = until("a flow that begins and goes on", || {
            sender.send(&datagram(1_000));
            let text = flows();
            text.contains(" update udp ").then_some(text)
        });
        signal(agent.id(), libc::SIGTERM);
        assert_eq!(end_of(&mut agent).code(), Some(0));
        assert!(seen.contains(" start udp "), "{seen}");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn one_who_follows_until_a_time_ends_by_itself() {
    observed(|agent, mut sender| {
        send(&agent, &mut sender, 1_000..1_001);
        let output = netwatch()
            .args(["flows", "-f", "--until", "+500ms", "-o", "csv", "--socket"])
            .arg(agent.socket())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 2, "with a header");
        assert!(said.starts_with("netwatch: 1 line, 0 events missed, in "), "{said}");
        assert!(said.ends_with(" s\n"), "the agent has not stopped: {said}");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_follower_sees_what_comes_and_says_in_the_end_how_much() {
    observed(|agent, mut sender| {
        send(&agent, &mut sender, 1_000..1_001);
        let mut follower = netwatch()
            .args(["flows", "-f", "-o", "json", "--port", "9", "--socket"])
            .arg(agent.socket())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
        let mut seen = vec![lines.next().unwrap().unwrap()];
        assert_eq!(seen, log(&agent, "\"start\""), "it follows from now on");
        send(&agent, &mut sender, 2_000..2_300);
        seen.extend(lines.by_ref().take(300).map(Result::unwrap));
        assert_eq!(seen, log(&agent, "\"start\""));
        signal(follower.id(), libc::SIGINT);
        assert_eq!(end_of(&mut follower).code(), Some(0));
        assert_eq!(lines.count(), 0);
        let mut said = String::new();
        follower.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(said.starts_with("netwatch: 301 lines, 0 events missed, in "), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    });
}
