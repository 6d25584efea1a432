//! The real binary: help, version, `--check` with every source, every bad input, closed pipes, and the pages of docs/
//! that are made from its tables.

#![expect(clippy::expect_used, reason = "a test that cannot start netwatch has failed")]

#[path = "cli/doctor.rs"]
mod doctor;
#[path = "cli/files.rs"]
mod files;
#[path = "cli/flows.rs"]
mod flows;
#[path = "cli/manuals.rs"]
mod manuals;
#[path = "cli/pages.rs"]
mod pages;
#[path = "cli/refusals.rs"]
mod refusals;
#[path = "cli/web.rs"]
mod web;

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

/// netwatch in an environment without a trace of the one that runs the tests.
fn netwatch(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netwatch"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("NETWATCH_")
            || ["DOCKER_HOST", "NO_COLOR", "COLUMNS"].contains(&text.as_ref())
        {
            command.env_remove(&name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// Runs a command that has to succeed silently on standard error.
fn succeed(command: &mut Command) -> String {
    let output = command.output().expect("netwatch runs");
    assert_eq!(output.status.code(), Some(0), "{command:?}: {}", stderr(&output));
    assert_eq!(stderr(&output), "", "{command:?}");
    stdout(&output)
}

/// Runs a command that has to fail, with nothing on standard output.
fn fail(command: &mut Command, code: i32) -> String {
    let output = command.output().expect("netwatch runs");
    assert_eq!(
        output.status.code(),
        Some(code),
        "{command:?}: {}{}",
        stdout(&output),
        stderr(&output)
    );
    assert_eq!(stdout(&output), "", "{command:?}");
    stderr(&output)
}

/// The line of `--check` for a key, with one blank between words.
fn line(text: &str, key: &str) -> String {
    let found = text.lines().find(|line| {
        line.starts_with(&format!("{key} ")) || line.starts_with(&format!("# {key} "))
    });
    found.expect("a line for the key").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn file(folder: &TempDir, text: &str) -> String {
    let path = folder.path().join("netwatch.toml");
    fs::write(&path, text).expect("a file");
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn help_has_examples_and_headings() {
    let help = succeed(&mut netwatch(&["--help"]));
    for part in ["Examples:", "netwatch run --flow-log -", "Exit codes:", "Usage: netwatch"] {
        assert!(help.contains(part), "{part} in\n{help}");
    }
    let run = succeed(&mut netwatch(&["run", "--help"]));
    for part in [
        "Interfaces:",
        "Flow log:",
        "Flows:",
        "Docker:",
        "Socket:",
        "Web:",
        "Logging:",
        "Configuration:",
        "Examples:",
    ] {
        assert!(run.contains(part), "{part} in\n{run}");
    }
    assert!(run.contains("[env: NETWATCH_WEB_LISTEN_ADDRESS] [default: 127.0.0.1:19733]"), "{run}");
    assert!(!run.contains('\u{1b}'), "colour only on a terminal");
    assert!(run.lines().all(|line| line == line.trim_end()), "no blanks at the end of a line");
}

#[test]
fn help_fits_the_terminal() {
    for arguments in [
        &["--help"] as &[&str],
        &["run", "--help"],
        &["run", "-h"],
        &["flows", "--help"],
        &["flows", "-h"],
        &["doctor", "--help"],
        &["doctor", "-h"],
    ] {
        let help = succeed(netwatch(arguments).env("COLUMNS", "80"));
        let longest = help.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        assert!(longest <= 80, "{longest} columns in\n{help}");
    }
}

#[test]
fn version_names_what_was_built() {
    let version = succeed(&mut netwatch(&["--version"]));
    let start = format!("netwatch {} (revision ", env!("CARGO_PKG_VERSION"));
    assert!(version.starts_with(&start), "{version}");
    assert!(
        version.trim_end().ends_with(&format!("ABI {})", netwatch_common::ABI_VERSION)),
        "{version}"
    );
}

#[test]
fn check_shows_defaults() {
    let text = succeed(&mut netwatch(&["run", "--check"]));
    assert_eq!(line(&text, "sample-rate"), "sample-rate = 1000 # default");
    assert_eq!(
        line(&text, "interface"),
        "interface = [] # default: all veths and the bridges of container engines"
    );
    assert_eq!(line(&text, "flow-log"), "# flow-log is not set # default: off");
    assert_eq!(line(&text, "flow-active-timeout"), "flow-active-timeout = \"1m\" # default");
    assert_eq!(line(&text, "listen-address"), "listen-address = [\"127.0.0.1:19733\"] # default");
}

#[test]
fn flag_wins_over_environment_over_file_over_default() {
    let folder = TempDir::new().expect("a folder");
    let path = file(
        &folder,
        "max-flows = 5000\nsample-rate = 3\ninterface = [\"f1\", \"f2\"]\n\n[log]\nlevel = \"warn\"\n",
    );
    let mut command = netwatch(&[
        "run",
        "--check",
        "--config",
        &path,
        "--sample-rate",
        "1",
        "--exclude",
        "x",
        "--exclude",
        "y",
    ]);
    command
        .env("NETWATCH_SAMPLE_RATE", "2")
        .env("NETWATCH_INTERFACE", "e1,{e2,e3}*")
        .env("NETWATCH_FLOW_LOG", "");
    let text = succeed(&mut command);
    assert_eq!(line(&text, "sample-rate"), "sample-rate = 1 # flag --sample-rate");
    assert_eq!(line(&text, "exclude"), "exclude = [\"x\", \"y\"] # flag --exclude");
    assert_eq!(
        line(&text, "interface"),
        "interface = [\"e1\", \"{e2,e3}*\"] # environment NETWATCH_INTERFACE"
    );
    assert_eq!(
        line(&text, "max-flows"),
        format!("max-flows = 8192 # file {path}:1, 5000 rounded up to a power of two")
    );
    assert_eq!(line(&text, "level"), format!("level = \"warn\" # file {path}:6"));
    assert_eq!(line(&text, "flow-log"), "# flow-log is not set # default: off");
    assert_eq!(line(&text, "format"), "format = \"text\" # default");
}

#[test]
fn the_file_can_be_named_by_a_variable() {
    let folder = TempDir::new().expect("a folder");
    let path = file(&folder, "sample-rate = 3\n");
    let text = succeed(netwatch(&["run", "--check"]).env("NETWATCH_CONFIG", &path));
    assert_eq!(line(&text, "sample-rate"), format!("sample-rate = 3 # file {path}:1"));
}

#[test]
fn exclusions_come_from_anywhere() {
    let folder = TempDir::new().expect("a folder");
    let path = file(&folder, "exclude-port = [443, \"udp/53\"]\nflow-log-samples = true\n");
    let mut command = netwatch(&["run", "--check", "--flow-log", "-", "--config", &path]);
    command.args(["--exclude-net", "10.0.0.0/8", "--exclude-net", "2001:db8::1"]);
    let text = succeed(command.env("NETWATCH_EXCLUDE_PROTOCOL", "ICMP,50"));
    assert_eq!(
        line(&text, "exclude-net"),
        "exclude-net = [\"10.0.0.0/8\", \"2001:db8::1/128\"] # flag --exclude-net"
    );
    assert_eq!(
        line(&text, "exclude-port"),
        format!("exclude-port = [\"443\", \"udp/53\"] # file {path}:1")
    );
    assert_eq!(
        line(&text, "exclude-protocol"),
        "exclude-protocol = [\"icmp\", \"esp\"] # environment NETWATCH_EXCLUDE_PROTOCOL"
    );
    assert_eq!(line(&text, "flow-log-samples"), format!("flow-log-samples = true # file {path}:2"));
}

#[test]
fn labels_come_from_anywhere() {
    let folder = TempDir::new().expect("a folder");
    let path = file(&folder, "[metrics]\nlinger = \"24h\"\nlabels = [\"service\", \"image\"]\n");
    let run = ["run", "--check", "--config", &path];
    let text = succeed(&mut netwatch(&run));
    assert_eq!(line(&text, "linger"), format!("linger = \"24h\" # file {path}:2"));
    let labels = format!("labels = [\"image\", \"service\"] # file {path}:3");
    assert_eq!(line(&text, "labels"), labels);
    let mut command = netwatch(&run);
    let text = succeed(command.env("NETWATCH_METRICS_LABELS", "id,no-network"));
    let labels = "labels = [\"id\", \"no-network\"] # environment NETWATCH_METRICS_LABELS";
    assert_eq!(line(&text, "labels"), labels);
    let text = succeed(command.args(["--metrics.labels", "none"]));
    assert_eq!(line(&text, "labels"), "labels = [\"none\"] # flag --metrics.labels");
    let text = fail(command.args(["--metrics.labels", "id"]), 2);
    assert!(text.starts_with("netwatch: --metrics.labels: none and others\nhint: "), "{text}");
}

#[test]
fn a_switch_needs_no_value() {
    let samples = |arguments: &[&str]| {
        let text = succeed(netwatch(&["run", "--check", "--flow-log", "-"]).args(arguments));
        line(&text, "flow-log-samples")
    };
    assert_eq!(samples(&[]), "flow-log-samples = false # default");
    assert_eq!(
        samples(&["--flow-log-samples", "--exclude", "x"]),
        "flow-log-samples = true # flag --flow-log-samples"
    );
    assert_eq!(
        samples(&["--flow-log-samples=false"]),
        "flow-log-samples = false # flag --flow-log-samples"
    );
}

#[test]
fn docker_host_is_heeded_last() {
    let folder = TempDir::new().expect("a folder");
    let path = file(&folder, "docker-host = \"tcp://file:1\"\n");
    let text = succeed(netwatch(&["run", "--check"]).env("DOCKER_HOST", "tcp://env:1"));
    assert_eq!(
        line(&text, "docker-host"),
        "docker-host = \"tcp://env:1\" # environment DOCKER_HOST"
    );
    let text =
        succeed(netwatch(&["run", "--check", "--config", &path]).env("DOCKER_HOST", "tcp://env:1"));
    assert_eq!(
        line(&text, "docker-host"),
        format!("docker-host = \"tcp://file:1\" # file {path}:1")
    );
}

#[test]
fn check_prints_what_it_can_read() {
    let folder = TempDir::new().expect("a folder");
    let log = folder.path().join("with \"quotes\" # and more");
    let flags = [
        "--interface",
        "br-*",
        "--flow-log",
        log.to_str().expect("UTF-8"),
        "--flow-format",
        "json",
    ];
    let more = [
        "--web.listen-address",
        "[::1]:1",
        "--web.listen-address",
        "localhost:2",
        "--log.level",
        "error",
    ];
    let rest = ["--flow-idle-timeout", "90s", "--docker-host", "unix:///x", "--max-flows", "1025"];
    let first = succeed(netwatch(&["run", "--check"]).args(flags).args(more).args(rest));
    let path = file(&folder, &first);
    let second = succeed(&mut netwatch(&["run", "--check", "--config", &path]));
    let values = |text: &str| -> toml::Table { text.parse().expect("TOML") };
    assert_eq!(values(&first), values(&second));
}

#[test]
fn a_closed_pipe_is_a_success() {
    for arguments in
        [&["--help"] as &[&str], &["run", "--help"], &["run", "--check"], &["--version"]]
    {
        let mut child = netwatch(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("netwatch runs");
        // Closed before netwatch has written anything, most of the time.
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("an end");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(stderr(&output), "", "{arguments:?}");

        let mut child = netwatch(arguments).stdout(Stdio::piped()).spawn().expect("netwatch runs");
        let mut first = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut first).expect("a line");
        assert!(!first.is_empty());
        assert_eq!(child.wait().expect("an end").code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn a_full_disk_is_not() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let output = netwatch(&["--help"]).stdout(full).output().expect("netwatch runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).starts_with("netwatch: cannot write to standard output: No space left"),
        "{}",
        stderr(&output)
    );
}
