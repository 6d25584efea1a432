//! The end of an agent, in whatever way it comes.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use super::support::{
    agent::{Agent, end_of, netwatch},
    docker::{Container, unique},
    http,
    remains::{expect_nothing_since, remains},
    serial::host,
    wait::until,
};

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn nothing_is_left_behind() {
    let _host = host();
    let container = Container::idle(&unique("left"), &[]);
    let before = remains();
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let agent = Agent::start(&[]);
        agent.until_named(&container.name);
        container.ping(&container.gateway("bridge"), 1);
        until("the start of the ping", || {
            agent.events().0.iter().any(|event| event["protocol"] == "icmp").then_some(())
        });
        let stopped = agent.stop(signal);
        assert!(stopped.status.success(), "{}\n{}", stopped.status, stopped.stderr);
        assert!(
            stopped.log.ends_with('\n') && stopped.log.contains("\"shutdown\""),
            "{}",
            stopped.log
        );
        expect_nothing_since(&before);
    }
    for mode in ["tcx", "clsact"] {
        let agent = Agent::start(&["--attach-mode", mode]);
        agent.until_named(&container.name);
        agent.stop(libc::SIGKILL);
        if mode == "clsact" {
            let left = remains();
            for kind in ["filter", "prog"] {
                let outlives = left.iter().any(|word| word.starts_with(kind));
                assert!(outlives, "no {kind} outlives a killed agent: {left:?}");
            }
        }
        let agent = Agent::start(&["--attach-mode", mode]);
        agent.until_named(&container.name);
        assert!(agent.stop(libc::SIGTERM).status.success());
        expect_nothing_since(&before);
    }
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn an_agent_leaves_another_ones_programs_alone() {
    let _host = host();
    let container = Container::idle(&unique("two"), &[]);
    let first = Agent::start(&["--attach-mode", "clsact"]);
    let veth = first.until_named(&container.name);
    let second = Agent::start(&["--attach-mode", "clsact"]);
    second.until_named(&container.name);
    assert!(second.stop(libc::SIGTERM).status.success());
    let packets = |agent: &Agent| {
        let labels = [("interface", veth.as_str())];
        agent.metrics().count("netwatch_interface_receive_packets_total", &labels)
    };
    let before = packets(&first);
    container.ping(&container.gateway("bridge"), 2);
    assert!(packets(&first) >= before + 2, "it still counts");
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn a_closed_pipe_ends_it_quietly() {
    let _host = host();
    let container = Container::idle(&unique("pipe"), &[]);
    let gateway = container.gateway("bridge");
    let before = remains();
    let mut agent = netwatch()
        .args(["run", "--flow-log", "-", "--web.listen-address"])
        .arg(http::free_address().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(agent.stdout.take().unwrap());
    let mut complaints = BufReader::new(agent.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("attached") {
        assert_ne!(complaints.read_line(&mut said).unwrap(), 0, "{said}");
    }
    container.ping(&gateway, 1);
    let mut line = String::new();
    while !line.contains("icmp ") {
        line.clear();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "no flow of the ping");
    }
    assert!(line.contains(&container.name) && line.contains(" start "), "{line}");
    // As `| head -1` does.
    drop(lines);
    let status = until("the agent ends", || {
        container.ping(&gateway, 1);
        agent.try_wait().unwrap()
    });
    assert_eq!(status, end_of(&mut agent));
    std::io::Read::read_to_string(&mut complaints, &mut said).unwrap();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(!said.contains("panic"), "{said}");
    expect_nothing_since(&before);
}
