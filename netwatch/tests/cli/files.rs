//! `netwatch flows --file`: flow logs that were kept, without an agent.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use flate2::{Compression, write::GzEncoder};
use tempfile::TempDir;

use super::{fail, netwatch, stderr, stdout, succeed};

/// A golden file.
fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/output/testdata").join(name)
}

fn text_of(name: &str) -> String {
    fs::read_to_string(golden(name)).expect("a golden file")
}

/// `netwatch flows`, in the time zone of the golden files.
fn flows(arguments: &[&str]) -> Command {
    let mut command = netwatch(&["flows"]);
    command.args(arguments).env("TZ", "<+01>-1");
    command
}

/// The same about one of them.
fn flows_of(name: &str, arguments: &[&str]) -> Command {
    let mut command = flows(arguments);
    command.arg("--file").arg(golden(name));
    command
}

fn compressed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).expect("compressed");
    encoder.finish().expect("compressed")
}

#[test]
fn every_format_is_what_the_agent_would_have_written() {
    for name in ["example", "lookups", "samples", "hostile", "corners", "folds"] {
        let file = format!("{name}.jsonl");
        for (format, suffix) in [("text", "txt"), ("json", "jsonl"), ("csv", "csv")] {
            let shown = succeed(&mut flows_of(&file, &["-o", format]));
            assert_eq!(shown, text_of(&format!("{name}.{suffix}")), "{name} {format}");
        }
    }
    assert_eq!(
        succeed(&mut flows_of("example.jsonl", &["-o", "wide"])),
        text_of("example-wide.txt")
    );
}

#[test]
fn filters_spans_and_rankings_are_those_of_an_agent() {
    let example = text_of("example.txt");
    let lines = |arguments: &[&str]| -> Vec<usize> {
        let shown = succeed(&mut flows_of("example.jsonl", arguments));
        let at = |line: &str| example.lines().position(|known| known == line).expect("a line");
        shown.lines().map(at).collect()
    };
    assert_eq!(lines(&["--container", "cli"]), [0, 1]);
    assert_eq!(lines(&["--service", "d?"]), [3]);
    assert!(lines(&["--service", "shop/web", "--not", "--port", "5432"]).is_empty());
    assert_eq!(lines(&["--to", "*.example.com"]), [5]);
    assert_eq!(lines(&["--events", "drop,lost"]), [3, 7]);
    assert_eq!(lines(&["--events", "end", "--proto", "tcp"]), [1, 3]);
    assert_eq!(lines(&["-n", "2"]), [6, 7]);
    assert_eq!(lines(&["-n", "1", "--events", "end"]), [4]);
    let span = ["--since", "2026-03-01T18:04:14.2Z", "--until", "2026-03-01 19:05:06"];
    assert_eq!(lines(&span), [4, 5, 6]);
    assert_eq!(lines(&["--top", "3"]), [6, 1, 2]);
    assert_eq!(lines(&["--sort", "duration", "--top", "2", "--events", "end"]), [3, 2]);
    assert_eq!(lines(&["--sort", "drops"]), [3]);
    assert_eq!(lines(&["--sort", "time"]), [6, 5, 4, 3, 2, 1]);
    // The first one has started and ended; only where the span ends before that has it no more than started.
    let started = ["--top", "9", "--events", "start"];
    assert_eq!(lines(&started), [5]);
    let early = [&started[..], &["--until", "2026-03-01T18:04:05.2Z"]].concat();
    assert_eq!(lines(&early), [0]);
}

#[test]
fn files_come_one_after_the_other_whatever_they_are_packed_in() {
    let folder = TempDir::new().expect("a folder");
    let text = text_of("example.jsonl");
    let (old, new) = text.split_at(text.find("{\"time\":\"2026-03-01T19:04:14").expect("a line"));
    let rotated = folder.path().join("flows.jsonl.1.gz");
    fs::write(&rotated, compressed(old)).expect("a file");
    let mut child = flows(&["--file"])
        .arg(&rotated)
        .args(["--file", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("netwatch runs");
    // Standard input may be packed too.
    child.stdin.take().expect("a pipe").write_all(&compressed(new)).expect("written");
    let output = child.wait_with_output().expect("an end");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stdout(&output), text_of("example.txt"));
}

#[test]
fn damage_is_told_with_its_place_and_stops_nothing() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("flows.jsonl");
    let text = text_of("example.jsonl");
    let mut lines: Vec<&str> = text.lines().collect();
    lines.insert(1, "what is this");
    lines.insert(3, "{\"event\":\"party\"}");
    let whole = lines.join("\n");
    // The last line is half written.
    fs::write(&path, &whole[..whole.len() - 20]).expect("a file");
    let output = flows(&["--file"]).arg(&path).output().expect("netwatch runs");
    assert_eq!(output.status.code(), Some(4));
    let expected: Vec<String> = text_of("example.txt").lines().map(str::to_owned).collect();
    let shown: Vec<String> = stdout(&output).lines().map(str::to_owned).collect();
    assert_eq!(shown, expected[..7]);
    let said = stderr(&output);
    let said: Vec<&str> = said.lines().collect();
    let place = path.display();
    assert_eq!(said.len(), 5, "{said:?}");
    assert!(said[0].starts_with(&format!("netwatch: {place}:2: expected value")), "{said:?}");
    assert_eq!(said[1], format!("netwatch: {place}:4: 'party' is no known event"));
    assert!(said[2].starts_with(&format!("netwatch: {place}:10: EOF")), "{said:?}");
    assert_eq!(said[3], "netwatch: 3 lines could not be read");

    // What was packed and is cut off is shown as far as it goes.
    let packed = folder.path().join("flows.jsonl.gz");
    let bytes = compressed(&text);
    fs::write(&packed, &bytes[..bytes.len() - 12]).expect("a file");
    let output = flows(&["--file"]).arg(&packed).output().expect("netwatch runs");
    assert_eq!(output.status.code(), Some(4));
    assert!(stdout(&output).starts_with(&expected[0]), "{}", stdout(&output));

    // However much of it there is.
    fs::write(&path, "x\n".repeat(5_000)).expect("a file");
    let said = fail(flows(&["--file"]).arg(&path), 4);
    assert_eq!(said.lines().count(), 12, "{said}");
    assert!(said.contains("netwatch: 5000 lines could not be read"), "{said}");
}

#[test]
fn a_file_that_cannot_be_read_is_named_before_anything_is_shown() {
    let text = fail(flows_of("example.jsonl", &[]).args(["--file", "/nonexistent/x"]), 1);
    assert!(text.starts_with("netwatch: --file: /nonexistent/x cannot be read: No such"), "{text}");
    let text = fail(&mut flows(&["--file", "/"]), 1);
    assert!(text.starts_with("netwatch: --file: / is a directory\nhint: "), "{text}");
}

#[test]
fn a_closed_pipe_ends_quietly_and_a_full_disk_does_not() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("flows.jsonl");
    fs::write(&path, text_of("example.jsonl").repeat(200)).expect("a file");
    let mut child = flows(&["--file"])
        .arg(&path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("netwatch runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("an end");
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    let full = File::options().write(true).open("/dev/full").expect("/dev/full");
    let output = flows(&["--file"]).arg(&path).stdout(full).output().expect("netwatch runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cannot write to standard output: No space left"));
}

/// A log with a burst, a long flow in between, and a number that begins anew.
fn burst() -> String {
    let example = text_of("example.jsonl");
    let [start, end] = [0, 1].map(|at| example.lines().nth(at).expect("a line"));
    let mut log = String::new();
    for number in 10..14 {
        for line in [start, end] {
            log += &line
                .replace("\"flow_id\":1,", &format!("\"flow_id\":{number},"))
                .replace("\"port\":51234", &format!("\"port\":512{number}"));
            log += "\n";
        }
    }
    log
}

#[test]
fn short_flows_are_folded_behind_the_filters() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("burst.jsonl");
    fs::write(&path, burst()).expect("a file");
    let file = path.to_str().expect("text");
    let shown = |arguments: &[&str]| succeed(flows(&["--file", file]).args(arguments));
    assert_eq!(shown(&[]).lines().count(), 8);
    let line = shown(&["--fold"]);
    assert_eq!(line.lines().count(), 1, "{line}");
    let expected = "19:04:05.433 end   tcp  cli -> web:80             net=bridge conns=4 \
                    sent=24/1.7kB recv=16/4.9kB rtt=84us/84us dur=310ms retrans=0/4 end=fin:4\n";
    assert_eq!(line, expected);
    assert_eq!(shown(&["--fold", "--events", "end"]), expected, "ends are enough");
    assert_eq!(shown(&["--fold", "--events", "start"]).lines().count(), 4);
    assert_eq!(shown(&["--fold", "100ms"]).lines().count(), 8, "they are longer");
    // Both lines of two of them, and then as many events.
    assert!(shown(&["--fold", "-n", "4"]).contains("conns=2 "));
    let filtered = shown(&["--fold", "--not", "--port", "51210"]);
    assert!(filtered.contains("conns=3 "), "{filtered}");
    let object: serde_json::Value =
        serde_json::from_str(&shown(&["--fold", "-o", "json"])).expect("JSON");
    assert_eq!((&object["connections"], &object["ends"]["fin"]), (&4.into(), &4.into()));
    assert!(object["first"].as_str().expect("a time").contains("19:04:05.123456"), "{object}");
    let table = shown(&["--fold", "-o", "csv"]);
    assert!(table.lines().nth(1).expect("a row").ends_with(",4,4,84000"), "{table}");

    // What was folded once is read again, and is as large as all of it.
    fs::write(&path, shown(&["--fold", "-o", "json"])).expect("a file");
    assert_eq!(shown(&[]), expected);
    assert_eq!(shown(&["--fold"]), expected);
    assert_eq!(shown(&["--top", "1"]), expected);
    let mut both = flows(&["--top", "2", "--sort", "packets", "--file", file]);
    let ranked = succeed(both.arg("--file").arg(golden("folds.jsonl")));
    let counts: Vec<_> = ranked.lines().map(|line| line.contains("conns=1500 ")).collect();
    assert_eq!(counts, [false, true], "{ranked}");
}

/// A file may be from anybody, and a terminal obeys what it is shown.
#[test]
fn json_is_shown_in_printable_ascii() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("hostile.jsonl");
    let example = text_of("example.jsonl");
    let line = example.lines().next().expect("a line").as_bytes();
    let mut hostile = b"{\"later\":\"\x9b31m\xc2\x9b2J\x7f\xe2\x80\xae\",\r\t".to_vec();
    hostile.extend_from_slice(&line[1..]);
    fs::write(&path, hostile).expect("a file");
    let file = path.to_str().expect("text");
    let shown = succeed(&mut flows(&["-o", "json", "--file", file]));
    assert!(shown.trim_end_matches('\n').bytes().all(|byte| (0x20..0x7f).contains(&byte)));
    let object: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(object["later"], "\u{fffd}31m\u{9b}2J\u{7f}\u{202e}");
    assert_eq!(object["client"]["name"], "cli");
}
