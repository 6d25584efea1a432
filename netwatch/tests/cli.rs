//! The real binary: help, version, `--check` with every source, every bad input, closed pipes, and the pages of docs/
//! that are made from its tables.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Output, Stdio},
};

use netwatch::cli::{Exit, docs::configuration_page};
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
        "Web:",
        "Logging:",
        "Configuration:",
        "Examples:",
    ] {
        assert!(run.contains(part), "{part} in\n{run}");
    }
    assert!(run.contains("[env: NETWATCH_WEB_LISTEN_ADDRESS] [default: 127.0.0.1:19733]"), "{run}");
    assert!(!run.contains('\u{1b}'), "colour only on a terminal");
}

#[test]
fn help_fits_the_terminal() {
    for arguments in [&["--help"] as &[&str], &["run", "--help"], &["run", "-h"]] {
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
    let values = |text: &str| -> Vec<String> {
        let table: toml::Table = text.parse().expect("TOML");
        vec![table.to_string()]
    };
    assert_eq!(values(&first), values(&second));
}

#[test]
fn bad_values_name_value_place_and_remedy() {
    for (arguments, message, hint) in [
        (
            ["--sample-rate", "-1"],
            "--sample-rate: '-1' is not a whole number",
            "from 0 to 4294967295",
        ),
        (["--sample-rate", "4294967296"], "--sample-rate: '4294967296' is too large", "from 0"),
        (["--max-flows", "1023"], "--max-flows: '1023' is too small", "from 1024 to 4194304"),
        (["--max-flows", "4194305"], "--max-flows: '4194305' is too large", "from 1024 to 4194304"),
        (["--metrics.max-series", "0"], "--metrics.max-series: '0' is too small", "from 1"),
        (
            ["--flow-idle-timeout", "15"],
            "--flow-idle-timeout: '15' has no unit",
            "500ms, 15s, 2m, 1h",
        ),
        (["--flow-active-timeout", "1d"], "--flow-active-timeout: '1d' has no known unit", "500ms"),
        (["--interface", "["], "--interface: '[' is not a valid pattern: ", "veth*"),
        (["--exclude", ""], "--exclude: '' is empty", "veth*"),
        (["--flow-log", ""], "--flow-log: '' is empty", "- for standard output"),
        (["--flow-format", "xml"], "--flow-format: 'xml' is not known", "text, json"),
        (["--attach-mode", "xdp"], "--attach-mode: 'xdp' is not known", "auto, tcx, clsact"),
        (
            ["--docker-host", "ssh://me@box"],
            "--docker-host: 'ssh://me@box' has a scheme that is not supported",
            "tcp://",
        ),
        (
            ["--docker-host", "/run/docker.sock"],
            "--docker-host: '/run/docker.sock' has no scheme",
            "unix:///run/docker.sock",
        ),
        (["--web.listen-address", "9100"], "--web.listen-address: '9100' has no port", "host:port"),
        (
            ["--web.listen-address", "web:9100"],
            "--web.listen-address: 'web:9100' has no address",
            "not resolved",
        ),
        (
            ["--web.telemetry-path", "metrics"],
            "--web.telemetry-path: 'metrics' does not begin with /",
            "/metrics",
        ),
        (
            ["--log.level", "loud"],
            "--log.level: 'loud' is not known",
            "error, warn, info, debug, trace",
        ),
        (["--log.format", "xml"], "--log.format: 'xml' is not known", "text, json"),
        (["--log.format", "a\nb"], "--log.format: 'a\\nb' is not known", "text, json"),
    ] {
        let text = fail(netwatch(&["run", "--check"]).args(arguments), 2);
        let lines: Vec<&str> = text.lines().collect();
        let [first, second] = lines.as_slice() else { panic!("two lines: {text:?}") };
        assert!(first.starts_with(&format!("netwatch: {message}")), "{text}");
        assert!(second.starts_with("hint: ") && second.contains(hint), "{text}");
    }
}

#[test]
fn wrong_arguments() {
    let text = fail(&mut netwatch(&["run", "--flow-lgo", "-"]), 2);
    assert_eq!(
        text,
        "netwatch: unexpected argument '--flow-lgo' found\nhint: a similar argument exists: '--flow-log'\n"
    );
    for arguments in [
        &["run", "--sample-rate"] as &[&str],
        &["run", "--sample-rate", "1", "--sample-rate", "2"],
        &["run", "stray"],
        &["rum"],
        &[],
    ] {
        let text = fail(&mut netwatch(arguments), 2);
        assert!(
            text.starts_with("netwatch: ") && text.lines().count() == 2,
            "{arguments:?}: {text}"
        );
    }
}

#[test]
fn bad_variables_are_named() {
    let text = fail(netwatch(&["run", "--check"]).env("NETWATCH_FLOW_IDLE_TIMEOUT", "soon"), 2);
    assert!(
        text.starts_with("netwatch: NETWATCH_FLOW_IDLE_TIMEOUT: 'soon' is not a length of time\n"),
        "{text}"
    );
    let text = fail(netwatch(&["run", "--check"]).env("NETWATCH_INTERFACE", "a,"), 2);
    assert!(text.starts_with("netwatch: NETWATCH_INTERFACE: '' is empty\n"), "{text}");
}

#[test]
fn a_misspelt_variable_is_warned_about() {
    let output =
        netwatch(&["run", "--check"]).env("NETWATCH_FLOWLOG", "-").output().expect("netwatch runs");
    assert_eq!(output.status.code(), Some(0));
    assert!(stderr(&output).contains("did you mean NETWATCH_FLOW_LOG?"), "{}", stderr(&output));
    assert!(!stderr(&output).contains('\u{1b}'), "colour only on a terminal");
}

#[test]
fn bad_files_are_named_with_their_line() {
    let folder = TempDir::new().expect("a folder");
    for (text, message, hint) in [
        ("\nsample-rat = 1\n", ":2: unknown key 'sample-rat'", Some("'sample-rate'")),
        ("[web]\nlisten = []\n", ":2: unknown key 'web.listen'", None),
        ("[wob]\n", ":1: unknown table 'wob'", Some("[web]")),
        ("\n\nmax-flows = 1\n", ":3: max-flows: '1' is too small", Some("from 1024")),
        (
            "max-flows = true\n",
            ":1: max-flows must be a string or a whole number, not a boolean",
            None,
        ),
        ("a b\n", ":1: ", Some("TOML")),
    ] {
        let path = file(&folder, text);
        let error = fail(&mut netwatch(&["run", "--check", "--config", &path]), 2);
        assert!(error.starts_with(&format!("netwatch: {path}{message}")), "{error}");
        assert!(
            hint.is_none_or(|hint| error.contains("\nhint: ") && error.contains(hint)),
            "{error}"
        );
    }
}

#[test]
fn what_cannot_be_read_or_written_is_a_failure() {
    let text = fail(&mut netwatch(&["run", "--check", "--config", "/nonexistent.toml"]), 1);
    assert!(
        text.starts_with(
            "netwatch: cannot read the configuration file /nonexistent.toml: No such file"
        ),
        "{text}"
    );
    for check in [&["run", "--check"] as &[&str], &["run"]] {
        let text = fail(netwatch(check).args(["--flow-log", "/nonexistent/flows.log"]), 1);
        assert!(
            text.starts_with(
                "netwatch: --flow-log: cannot use the directory /nonexistent: No such file"
            ),
            "{text}"
        );
        assert!(text.contains("\nhint: create it (mkdir -p /nonexistent)"), "{text}");
    }
    let text = fail(&mut netwatch(&["run", "--check", "--flow-log", "/dev/null/flows"]), 1);
    assert!(text.starts_with("netwatch: --flow-log: /dev/null is not a directory\n"), "{text}");
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

/// A page of docs/.
fn page(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
}

#[test]
fn the_configuration_page_is_not_stale() {
    let path = page("configuration.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, configuration_page()).expect("a page");
    }
    let have = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        have == configuration_page(),
        "docs/configuration.md is stale; run: UPDATE_DOCS=1 cargo test -p netwatch --test cli"
    );
}

#[test]
fn the_page_of_exit_codes_has_each_of_them() {
    let have = fs::read_to_string(page("exit-codes.md")).expect("docs/exit-codes.md");
    let rows: Vec<&str> = have.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert_eq!(rows.len(), Exit::ALL.len());
    for (row, exit) in rows.iter().zip(Exit::ALL) {
        assert!(row.starts_with(&format!("| {} | {} | ", exit.code(), exit.name())), "{row}");
    }
}
