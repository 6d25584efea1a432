//! `netwatch flows` where there is no agent, and where what answers is none.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixListener,
    thread::{self, JoinHandle},
};

use tempfile::TempDir;

use super::{fail, netwatch, stderr, stdout, succeed};

/// Something that takes one connection, and answers a request with this.
fn agent(folder: &TempDir, answer: &'static [u8]) -> (String, JoinHandle<()>) {
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).expect("a socket");
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut byte = [0];
        while byte != *b"\n" {
            stream.read_exact(&mut byte).expect("a request");
        }
        // A client that has enough goes.
        let _ = stream.write_all(answer);
    });
    (path.to_str().expect("UTF-8").to_owned(), thread)
}

#[test]
fn help_has_the_vocabulary() {
    let help = succeed(netwatch(&["flows", "--help"]).env("COLUMNS", "80"));
    for part in ["Filters:", "--container <GLOB>", "--not", "Examples:", "[env: NETWATCH_SOCKET]"] {
        assert!(help.contains(part), "{part} in\n{help}");
    }
}

#[test]
fn the_schema_is_the_published_one() {
    let page = std::fs::read_to_string(super::pages::page("flow-log.schema.json"));
    assert_eq!(succeed(&mut netwatch(&["flows", "--schema"])), page.expect("the schema"));
    fail(&mut netwatch(&["flows", "--schema", "-f"]), 2);
}

#[test]
fn the_page_has_every_flag() {
    let page = std::fs::read_to_string(super::pages::page("flows.md")).expect("docs/flows.md");
    let help = succeed(&mut netwatch(&["flows", "-h"]));
    let flags: Vec<&str> = help
        .split(|c: char| !(c.is_ascii_lowercase() || c == '-'))
        .filter(|word| word.starts_with("--") && *word != "--help")
        .collect();
    assert!(flags.len() >= 15, "{flags:?}");
    for flag in flags {
        assert!(page.contains(&format!("`{flag}")), "docs/flows.md has no {flag}");
    }
}

#[test]
fn no_agent_is_said_with_the_socket_and_the_remedy() {
    let hint = "hint: start one with 'netwatch run' as root, or name its socket with --socket\n";
    let text = fail(&mut netwatch(&["flows", "--socket", "/nonexistent/s"]), 1);
    assert!(
        text.starts_with("netwatch: no agent answers at /nonexistent/s: No such file"),
        "{text}"
    );
    assert!(text.ends_with(hint), "{text}");
    // It would observe by itself, if it were not asked for the past.
    for past in [["--last", "5"], ["--top", "5"], ["--since", "5m"], ["--until", "5m"]] {
        let text =
            fail(netwatch(&["flows"]).args(past).env("NETWATCH_SOCKET", "/nonexistent/v"), 1);
        assert!(text.starts_with("netwatch: no agent answers at /nonexistent/v: "), "{text}");
        assert!(text.contains("\nhint: without one there is no past: "), "{text}");
    }
    // As an agent leaves it that was killed.
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("socket");
    drop(UnixListener::bind(&path).expect("a socket"));
    let text = fail(netwatch(&["flows", "--socket"]).arg(&path), 1);
    assert!(text.contains("Connection refused") && text.ends_with(hint), "{text}");
}

#[test]
fn wrong_arguments_are_usage_errors() {
    for (arguments, message) in [
        (&["--not"] as &[&str], "--not: no filter follows"),
        (&["--proto", "tpc"], "--proto: 'tpc' is not a known protocol"),
        (&["-f", "--until", "5m"], "--until: '5m' has been already"),
        (&["--watch"], "--watch: standard output is no terminal"),
        (&["--watch", "-f"], "--watch and --follow exclude each other"),
        (&["--socket", "none"], "--socket: 'none' is no socket"),
        (&["--to", &("{".repeat(300) + "a" + &"}".repeat(300))], "has more than 16 opening braces"),
        (&["stray"], "unexpected argument 'stray'"),
    ] {
        let text = fail(netwatch(&["flows"]).args(arguments), 2);
        assert!(text.contains(message) && text.contains("\nhint: "), "{text}");
    }
    let text = fail(netwatch(&["flows"]).env("NETWATCH_SOCKET", "none"), 2);
    assert!(text.starts_with("netwatch: NETWATCH_SOCKET: 'none' is no socket"), "{text}");
}

#[test]
fn what_the_agent_says_is_shown_and_its_refusal_is_a_failure() {
    let folder = TempDir::new().expect("a folder");
    let (path, thread) =
        agent(&folder, b"one\n{\"event\":\"missed\",\"events\":3}\ntwo\n{\"event\":\"done\"}\n");
    let output = netwatch(&["flows", "-f", "--socket", &path]).output().expect("netwatch runs");
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), "one\ntwo\n"));
    let remarks = stderr(&output);
    let remarks: Vec<&str> = remarks.lines().collect();
    assert_eq!(remarks[0], "netwatch: 3 events missed: the output was read too slowly");
    assert!(remarks[1].starts_with("netwatch: 2 lines, 3 events missed, in "), "{remarks:?}");
    assert!(remarks[1].ends_with(" s; the agent has stopped"), "{remarks:?}");
    thread.join().expect("an end");

    let folder = TempDir::new().expect("a folder");
    let missed = "{\"event\":\"missed\",\"events\":3}\n";
    let (path, thread) =
        agent(&folder, b"{\"event\":\"missed\",\"events\":3}\n{\"event\":\"done\"}\n");
    assert_eq!(succeed(&mut netwatch(&["flows", "-o", "json", "--socket", &path])), missed);
    thread.join().expect("an end");

    for (answer, message) in [
        (
            &b"{\"event\":\"refused\",\"reason\":\"too late\"}\n"[..],
            "the agent refuses: too late\n",
        ),
        (b"", "broke: unexpected end of file\n"),
        (b"{\"event\":\"do", "broke: unexpected end of file\n"),
    ] {
        let folder = TempDir::new().expect("a folder");
        let (path, thread) = agent(&folder, answer);
        let text = fail(&mut netwatch(&["flows", "--socket", &path]), 1);
        assert!(text.contains(message), "{text}");
        thread.join().expect("an end");
    }
}

#[test]
fn a_full_disk_is_a_failure_and_a_closed_pipe_is_not() {
    let folder = TempDir::new().expect("a folder");
    let (path, thread) = agent(&folder, b"one\n{\"event\":\"done\"}\n");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let output = netwatch(&["flows", "--socket", &path]).stdout(full).output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cannot write to standard output: No space left"));
    thread.join().expect("an end");

    let folder = TempDir::new().expect("a folder");
    let (path, thread) = agent(&folder, b"one\n{\"event\":\"done\"}\n");
    let mut child = netwatch(&["flows", "-f", "--socket", &path])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("netwatch runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("an end");
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    thread.join().expect("an end");
}
