//! `netwatch doctor` on whatever host this is: what it looks at, and how it answers.

use std::{io::Write as _, net::TcpListener, os::unix::net::UnixListener, thread};

use serde_json::Value;
use tempfile::TempDir;

use super::{fail, file, netwatch, stderr, stdout, succeed};

/// What it says about a check, whatever the host is like otherwise.
fn finding(arguments: &[&str], check: &str) -> Value {
    let output = netwatch(&[&["doctor", "-o", "json"], arguments].concat()).output().expect("runs");
    let report: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    let code = match report["verdict"].as_str() {
        Some("ok") => 0,
        Some("degraded") => 4,
        _ => 3,
    };
    assert_eq!(output.status.code(), Some(code), "{report:#}");
    assert_eq!(stderr(&output).lines().count(), usize::from(code != 0), "{}", stderr(&output));
    let checks = report["checks"].as_array().expect("checks");
    checks.iter().find(|finding| finding["check"] == check).expect("the check").clone()
}

#[test]
fn help_has_the_options_of_run_that_matter() {
    let help = succeed(&mut netwatch(&["doctor", "--help"]));
    for part in [
        "--docker-host",
        "--socket",
        "--config",
        "--web.listen-address",
        "Exit codes: 0",
        "Examples:",
    ] {
        assert!(help.contains(part), "{part} in\n{help}");
    }
    assert!(!help.contains("--flow-log"), "{help}");
}

#[test]
fn wrong_arguments_are_refused() {
    let text = fail(&mut netwatch(&["doctor", "-o", "xml"]), 2);
    assert_eq!(text, "netwatch: --output: 'xml' is not known\nhint: give one of: text, json\n");
    let text = fail(&mut netwatch(&["doctor", "--docker-host", "ssh://x"]), 2);
    assert!(text.starts_with("netwatch: --docker-host: 'ssh://x' has a scheme"), "{text}");
    let text = fail(&mut netwatch(&["doctor", "--config", "/nonexistent.toml"]), 1);
    assert!(text.contains("/nonexistent.toml"), "{text}");
}

#[test]
fn no_agent_is_no_failure() {
    let quiet = ["--socket", "/nonexistent/s", "--web.listen-address", "127.0.0.1:0"];
    for (check, result) in [("agent", "not-running"), ("losses", "no-agent"), ("http", "free")] {
        let finding = finding(&quiet, check);
        assert_eq!((&finding["result"], &finding["verdict"]), (&result.into(), &"ok".into()));
    }
}

#[test]
fn a_port_of_somebody_else_is_said_as_run_says_it() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    let asked = thread::spawn(move || {
        // Until nobody asks any more: not an agent, whatever it is asked.
        for stream in listener.incoming().take(2) {
            let _ = stream.and_then(|mut stream| stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nhello"));
        }
        listener
    });
    let finding = finding(&["--socket", "none", "--web.listen-address", &address], "http");
    assert_eq!(finding["result"], "taken");
    let message = finding["message"].as_str().expect("a message");
    let expected = format!("cannot listen on {address}: the port is in use; choose another port");
    assert!(message.starts_with(&expected), "{message}");
    asked.join().expect("answers");
}

#[test]
fn what_is_no_agent_is_not_taken_for_one() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("s");
    let listener = UnixListener::bind(&path).expect("a socket");
    let answers = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let _ = stream.write_all(b"220 mail ready\n");
    });
    let path = path.to_str().expect("UTF-8");
    let arguments = ["--socket", path, "--web.listen-address", "127.0.0.1:0"];
    let finding = finding(&arguments, "agent");
    assert_eq!(finding["result"], "not-ready");
    assert_eq!(finding["message"], format!("what listens at {path} is no agent"));
    answers.join().expect("answers");
}

#[test]
fn an_engine_that_is_not_there_has_its_own_words() {
    let folder = TempDir::new().expect("a folder");
    let dead = folder.path().join("dead");
    drop(UnixListener::bind(&dead).expect("a socket"));
    let dead = format!("unix://{}", dead.display());
    let absent = format!("unix://{}/absent", folder.path().display());
    for (host, result, words) in [
        (&absent, "absent", "there is no container engine's socket at "),
        (&dead, "down", "nobody listens at the container engine's address "),
    ] {
        let finding = finding(&["--docker-host", host], "engine");
        assert_eq!((&finding["result"], &finding["verdict"]), (&result.into(), &"degraded".into()));
        assert_eq!(finding["message"], format!("{words}{host}"));
        assert!(finding["remedy"].as_str().expect("a remedy").starts_with("start the engine, "));
    }
}

#[test]
fn the_configuration_is_that_of_run() {
    let folder = TempDir::new().expect("a folder");
    let path = file(&folder, "docker-host = \"unix:///nonexistent/engine\"\nflow-log = \"-\"\n");
    let finding = finding(&["--config", &path], "engine");
    assert!(
        finding["message"].as_str().expect("a message").ends_with("unix:///nonexistent/engine")
    );
}

#[test]
fn text_has_a_line_for_each_check_and_no_colour() {
    let output =
        netwatch(&["doctor", "--docker-host", "unix:///nonexistent"]).output().expect("runs");
    let text = stdout(&output);
    assert!(!text.contains('\u{1b}'), "{text}");
    let checks: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    assert_eq!(
        checks,
        [
            "kernel",
            "config",
            "btf",
            "capabilities",
            "lockdown",
            "memory",
            "load",
            "tc",
            "sandbox",
            "bpffs",
            "engine",
            "conntrack",
            "interfaces",
            "agent",
            "losses",
            "http",
            "clock"
        ]
    );
    assert!(stderr(&output).starts_with("netwatch: "), "{}", stderr(&output));
}
