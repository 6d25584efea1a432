//! `netwatch flows` where no agent runs.

use std::{
    io::{BufRead as _, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdout, Stdio},
};

use super::{
    datagram,
    support::{
        agent::{end_of, netwatch, powerless, send as signal},
        frames::Sender,
        netns::in_new_namespace,
        serial,
        shell::run,
        veth,
        wait::until,
    },
};

/// Where no agent is, for which no argument is to blame.
const NOWHERE: &str = "/nonexistent/socket";

struct Own {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    remarks: Lines<BufReader<ChildStderr>>,
}

/// Starts it at one end of a veth pair, and waits until it observes.
fn observe(arguments: &[&str]) -> (Own, Sender) {
    run("ip", &["link", "set", "lo", "up"]);
    let [one, _] = veth::pair(["one", "two"], 1_500);
    let mut child = netwatch()
        .args(["flows", "-o", "json"])
        .args(arguments)
        .env("NETWATCH_SOCKET", NOWHERE)
        .env("NETWATCH_INTERFACE", "one")
        .env("NETWATCH_FLOW_IDLE_TIMEOUT", "1h")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut remarks = BufReader::new(child.stderr.take().unwrap()).lines();
    let said = remarks.next().unwrap().unwrap();
    assert!(said.starts_with("netwatch: no agent answers at /nonexistent/socket: "), "{said}");
    assert!(said.ends_with("; observing by itself until Ctrl-C"), "{said}");
    (Own { child, lines, remarks }, Sender::at(one))
}

/// What it said besides that names are missing, where there is no engine.
fn said(remarks: Lines<BufReader<ChildStderr>>) -> Vec<String> {
    let mut remarks: Vec<String> = remarks.map(Result::unwrap).collect();
    remarks.retain(|remark| !remark.contains("no container engine"));
    remarks
}

/// It attaches when it has told that it begins, so the first packets may pass before.
fn until_seen(own: &mut Own, sender: &mut Sender, port: u16) -> String {
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                sender.send(&datagram(port));
                std::thread::yield_now();
            }
        });
        let line = own.lines.next().unwrap().unwrap();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        line
    })
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn without_an_agent_it_observes_until_ctrl_c() {
    let _alone = serial::alone();
    in_new_namespace(|| {
        let (mut own, mut sender) = observe(&["--port", "1000", "--port", "1001"]);
        let first = until_seen(&mut own, &mut sender, 1_000);
        assert!(
            first.contains("\"event\":\"start\"") && first.contains("\"port\":1000"),
            "{first}"
        );
        sender.send(&datagram(1_002));
        sender.send(&datagram(1_001));
        let second = own.lines.next().unwrap().unwrap();
        assert!(second.contains("\"event\":\"start\"") && second.contains("\"port\":1001"));
        signal(own.child.id(), libc::SIGINT);
        let ends: Vec<String> = own.lines.map(Result::unwrap).collect();
        assert_eq!(ends.len(), 2, "{ends:?}");
        assert!(ends.iter().all(|line| line.contains("\"reason\":\"shutdown\"")), "{ends:?}");
        assert_eq!(end_of(&mut own.child).code(), Some(0));
        let said = said(own.remarks);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("netwatch: 4 lines, 0 events missed, in "), "{said:?}");
        assert!(said[0].ends_with(" s"), "{said:?}");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn it_ends_when_nobody_reads_any_more() {
    let _alone = serial::alone();
    in_new_namespace(|| {
        let (mut own, mut sender) = observe(&["--not", "--port", "1000"]);
        drop(own.lines);
        let mut port = 2_000;
        until("its end", || {
            port += 1;
            sender.send(&datagram(port));
            own.child.try_wait().unwrap()
        });
        assert_eq!(end_of(&mut own.child).code(), Some(0));
        assert_eq!(said(own.remarks), Vec::<String>::new());
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn who_may_not_observe_is_told_what_to_do() {
    let output =
        powerless().args(["flows", "-f"]).env("NETWATCH_SOCKET", NOWHERE).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines[0].contains("; observing by itself: not permitted: "), "{said}");
    assert!(lines[1].starts_with("hint: run netwatch as root, or "), "{said}");
    assert!(
        lines[1]
            .ends_with("; or start 'netwatch run' as root, whose socket you may then read from")
    );
}
