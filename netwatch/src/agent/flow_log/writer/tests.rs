//! Each line is written, or a gap tells that it is missing.

use std::fs;

use jiff::tz::TimeZone;
use netwatch_common::outcome::Outcome;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    super::{super::config::Rotation, Line},
    *,
};
use crate::{
    model::{Loss, Tally},
    output::Format,
};

const NONE: Rotation = Rotation { max_size: None, max_age: None, max_total: None };

fn told() -> Told {
    let time = crate::model::Instant(0);
    let line = Line::Loss(Loss { time, outcome: Outcome::FlowLimit, tally: Tally::ZERO });
    Told { line, clock: Clock::default() }
}

fn writer(log: &std::path::Path) -> Writer {
    let formatter = Formatter::new(Format::Json, TimeZone::UTC);
    let output = Output::open(log, NONE).unwrap();
    Writer::new(output, formatter, Arc::default(), Arc::new(watch::channel(false).0))
}

/// Event and number of missing lines of each line.
fn lines(log: &std::path::Path) -> Vec<(String, Value)> {
    let text = fs::read_to_string(log).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| (line["event"].as_str().unwrap().to_owned(), line["lines"].clone()))
        .collect()
}

fn of(word: &str, lines: Value) -> (String, Value) {
    (word.to_owned(), lines)
}

#[test]
fn each_event_is_written_or_lost_and_a_gap_tells_of_these_once() {
    let folder = TempDir::new().unwrap();
    let inside = folder.path().join("inside");
    fs::create_dir(&inside).unwrap();
    let log = inside.join("flows.jsonl");
    let mut writer = writer(&log);
    let counts = Arc::clone(&writer.counts);
    let totals = || [&counts.written, &counts.lost].map(|count| count.load(Ordering::Relaxed));
    let flush = |writer: &mut Writer| assert!(writer.flush().is_ok());
    // The queue was full.
    counts.lost.store(3, Ordering::Relaxed);
    assert!(writer.add(&told()).is_ok());
    flush(&mut writer);
    assert_eq!(lines(&log), [of("gap", json!(3)), of("lost", Value::Null)]);
    assert_eq!(totals(), [1, 3]);

    fs::remove_dir_all(&inside).unwrap();
    for _ in 0..4 {
        assert!(writer.add(&told()).is_ok());
        assert!(writer.add(&told()).is_ok());
        flush(&mut writer);
    }
    assert_eq!(totals(), [1, 11]);
    assert!(counts.failing.load(Ordering::Relaxed));
    fs::create_dir(&inside).unwrap();
    // Not before it is time to try again; then without an event.
    flush(&mut writer);
    assert!(!log.exists());
    writer.retry = Some(Instant::now());
    flush(&mut writer);
    assert_eq!(lines(&log), [of("gap", json!(8))]);
    assert!(writer.add(&told()).is_ok());
    flush(&mut writer);
    flush(&mut writer);
    assert_eq!(lines(&log), [of("gap", json!(8)), of("lost", Value::Null)]);
    assert_eq!(totals(), [2, 11]);
    assert!(!counts.failing.load(Ordering::Relaxed));
}

#[test]
fn what_is_missing_in_the_end_is_told_too() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("flows.jsonl");
    let mut writer = writer(&log);
    writer.lose(5);
    writer.retry = Some(Instant::now() + Duration::from_hours(1));
    assert!(writer.finish().is_ok());
    assert_eq!(lines(&log), [of("gap", json!(5))]);
}

#[test]
fn a_line_that_was_begun_is_completed_without_another() {
    use std::{
        io::Read as _,
        os::{fd::OwnedFd, unix::net::UnixStream},
    };
    let finish: fn(&mut Writer) -> Result<(), Unread> = Writer::finish;
    let retry: fn(&mut Writer) -> Result<(), Unread> = |writer| {
        writer.retry_now();
        writer.flush()
    };
    for complete in [finish, retry] {
        let (mut reader, sender) = UnixStream::pair().unwrap();
        sender.set_nonblocking(true).unwrap();
        let same = sender.try_clone().unwrap();
        let output = Output::stream(fs::File::from(OwnedFd::from(sender)));
        let formatter = Formatter::new(Format::Json, TimeZone::UTC);
        let stop = Arc::new(watch::channel(false).0);
        let mut writer = Writer::new(output, formatter, Arc::default(), stop);
        let line = [vec![b'x'; 4 << 20], b"\n".to_vec()].concat();
        writer.batch.clone_from(&line);
        assert!(writer.flush().is_ok());
        assert!(writer.retry.is_some(), "no socket takes so much");
        same.set_nonblocking(false).unwrap();
        drop(same);
        let reading = std::thread::spawn(move || {
            let mut received = Vec::new();
            reader.read_to_end(&mut received).map(|_| received)
        });
        assert!(complete(&mut writer).is_ok());
        assert!(writer.retry.is_none());
        drop(writer);
        assert!(reading.join().unwrap().unwrap() == line, "not the line");
    }
}

#[test]
fn many_that_wait_are_written_together() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("flows.jsonl");
    let writer = writer(&log);
    let counts = Arc::clone(&writer.counts);
    let (lines, queue) = mpsc::channel(4_000);
    for _ in 0..4_000 {
        assert!(lines.try_send(Arc::new(told())).is_ok());
    }
    drop(lines);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (hang_up, reopening) = watch::channel(());
    drop(hang_up);
    writer.run(queue, reopening, runtime.handle());
    assert_eq!(counts.written.load(Ordering::Relaxed), 4_000);
    assert_eq!(fs::read_to_string(&log).unwrap().lines().count(), 4_000);
}
