//! Every bad input: one message with place and remedy, and the documented exit code.

use tempfile::TempDir;

use super::{fail, file, netwatch, stderr};

#[test]
fn bad_values_name_value_place_and_remedy() {
    for (arguments, message, hint) in [
        (
            ["--sample-rate", "-1"],
            "--sample-rate: '-1' is not a whole number",
            "from 0 to 1073741824",
        ),
        (["--sample-rate", "1073741825"], "--sample-rate: '1073741825' is too large", "from 0"),
        (["--max-flows", "1023"], "--max-flows: '1023' is too small", "from 1024 to 4194304"),
        (["--max-flows", "4194305"], "--max-flows: '4194305' is too large", "from 1024 to 4194304"),
        (["--metrics.max-series", "0"], "--metrics.max-series: '0' is too small", "from 1000"),
        (["--metrics.linger", "30s"], "--metrics.linger: '30s' is too short", "from 1m to 168h"),
        (
            ["--metrics.labels", "image,name"],
            "--metrics.labels: 'image,name' has a label that is not known: 'name'",
            "id, image, project, service, no-network",
        ),
        (
            ["--flow-idle-timeout", "15"],
            "--flow-idle-timeout: '15' has no unit",
            "500ms, 15s, 2m, 1h",
        ),
        (["--flow-active-timeout", "1d"], "--flow-active-timeout: '1d' has no known unit", "500ms"),
        (["--interface", "["], "--interface: '[' is not a valid pattern: ", "veth*"),
        (["--exclude", ""], "--exclude: '' is empty", "veth*"),
        (
            ["--exclude-net", "10.1.2.3/8"],
            "--exclude-net: '10.1.2.3/8' is an address in the network 10.0.0.0/8",
            "give 10.0.0.0/8",
        ),
        (
            ["--exclude-net", "10.0.0.0/33"],
            "--exclude-net: '10.0.0.0/33' has no valid number of bits",
            "0 to 32 bits",
        ),
        (
            ["--exclude-port", "53/udp"],
            "--exclude-port: '53/udp' has the protocol behind the port",
            "write udp/53",
        ),
        (["--exclude-port", "0"], "--exclude-port: '0' has a port that is too small", "from 1"),
        (
            ["--exclude-protocol", "tpc"],
            "--exclude-protocol: 'tpc' is not a known protocol",
            "such as icmp",
        ),
        (["--sample-length", "513"], "--sample-length: '513' is too large", "from 0 to 512"),
        (["--dns-rate", "x"], "--dns-rate: 'x' is not a whole number", "from 0 to 1000000"),
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
        (
            ["--web.listen-address", "unix:"],
            "--web.listen-address: 'unix:' is empty",
            "path of a socket",
        ),
        (["--web.max-requests", "-1"], "--web.max-requests: '-1' is not a whole number", "from 0"),
        (["--web.config.file", ""], "--web.config.file: '' is empty", "path of a file"),
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
fn lines_about_samples_need_samples_and_a_log() {
    let refused = |arguments: &[&str]| fail(netwatch(&["run", "--check"]).args(arguments), 2);
    assert_eq!(
        refused(&["--flow-log-samples"]),
        "netwatch: --flow-log-samples: there is no flow log to write them to\n\
         hint: add --flow-log FILE, or - for standard output\n"
    );
    assert_eq!(
        refused(&["--flow-log-fold", "5s"]),
        "netwatch: --flow-log-fold: there is no flow log to fold\n\
         hint: add --flow-log FILE, or - for standard output\n"
    );
    assert_eq!(
        refused(&["--flow-log-samples", "--flow-log", "-", "--sample-rate", "0"]),
        "netwatch: --flow-log-samples: no packet is sampled\n\
         hint: give a --sample-rate of 1 or more\n"
    );
    assert_eq!(
        refused(&["--flow-log-samples=yes"]),
        "netwatch: --flow-log-samples: 'yes' is not known\nhint: give one of: true, false\n"
    );
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
