//! Formats lines and writes them, many at a time where many wait.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tokio::{
    runtime::Handle,
    sync::{
        mpsc::{self, error::TryRecvError},
        watch,
    },
};
use tracing::{info, warn};

use super::{
    super::told::Told,
    Counts,
    output::{Output, Unwritten},
};
use crate::{
    datapath::monotonic_now,
    model::{Clock, Gap},
    output::Formatter,
};

/// How much is written at a time.
const BATCH: usize = 64 << 10;
/// How soon what failed is tried again. Lines that come meanwhile are lost.
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    output: Output,
    formatter: Formatter,
    counts: Arc<Counts>,
    stop: Arc<watch::Sender<bool>>,
    /// Lines that are not written yet.
    batch: Vec<u8>,
    /// The clock of the last line.
    clock: Clock,
    /// Lost lines that a gap has told of.
    told: u64,
    /// When to try again.
    retry: Option<Instant>,
}

/// Nobody will ever read what is written.
struct Unread;

impl Writer {
    pub(super) fn new(
        output: Output,
        formatter: Formatter,
        counts: Arc<Counts>,
        stop: Arc<watch::Sender<bool>>,
    ) -> Self {
        Self {
            output,
            formatter,
            counts,
            stop,
            batch: Vec::new(),
            clock: Clock::default(),
            told: 0,
            retry: None,
        }
    }

    /// Writes until no more lines can come, or nobody reads them.
    pub(super) fn run(
        mut self,
        mut queue: mpsc::Receiver<Arc<Told>>,
        mut hang_up: watch::Receiver<()>,
        runtime: &Handle,
    ) {
        let ended = loop {
            let next = match queue.try_recv() {
                Ok(told) => Some(told),
                Err(TryRecvError::Disconnected) => break self.finish(),
                Err(TryRecvError::Empty) => {
                    if let Err(unread) = self.flush() {
                        break Err(unread);
                    }
                    runtime.block_on(async {
                        tokio::select! {
                            told = queue.recv() => told,
                            Ok(()) = hang_up.changed() => { hang_up.mark_changed(); None }
                            () = tokio::time::sleep(RETRY), if self.retry.is_some() => None,
                        }
                    })
                }
            };
            let added = next.map_or(Ok(()), |told| self.add(&told));
            if hang_up.has_changed().unwrap_or(false) {
                hang_up.mark_unchanged();
                self.output.hang_up();
                self.retry_now();
            }
            if let Err(unread) = added {
                break Err(unread);
            }
        };
        if let Err(Unread) = ended {
            info!("nobody reads the flow log any more: stopping");
            self.stop.send_replace(true);
        }
    }

    fn add(&mut self, told: &Told) -> Result<(), Unread> {
        self.clock = told.clock;
        if let Err(error) = told.format(&self.formatter, &mut self.batch) {
            self.lose(1);
            warn!(%error, "an event that cannot be written as a line");
        }
        if self.batch.len() < BATCH { Ok(()) } else { self.flush() }
    }

    /// The last try, whenever the one before was.
    fn finish(&mut self) -> Result<(), Unread> {
        self.retry_now();
        self.flush()
    }

    /// Not forgotten: after what failed, the output may have to write the rest of a line.
    fn retry_now(&mut self) {
        self.retry = self.retry.map(|_| Instant::now());
    }

    fn flush(&mut self) -> Result<(), Unread> {
        let mut lines = std::mem::take(&mut self.batch);
        if self.retry.is_some_and(|retry| Instant::now() < retry) {
            self.lose(count(&lines));
        } else {
            self.write(&mut lines)?;
        }
        lines.clear();
        self.batch = lines;
        Ok(())
    }

    /// Writes lines, behind a gap for those that are missing.
    fn write(&mut self, lines: &mut Vec<u8>) -> Result<(), Unread> {
        let lost = self.counts.lost.load(Ordering::Relaxed);
        let gap = self.gap(lost - self.told);
        if gap.is_empty() && lines.is_empty() && self.retry.is_none() {
            return Ok(());
        }
        lines.splice(0..0, gap.iter().copied());
        let result = self.output.write(lines);
        self.counts.rotations.store(self.output.rotations(), Ordering::Relaxed);
        let written = match &result {
            Ok(()) => lines.len(),
            Err(Unwritten { written, .. }) => *written,
        };
        if written >= gap.len() {
            self.told = lost;
            self.counts.written.fetch_add(count(&lines[gap.len()..written]), Ordering::Relaxed);
        }
        // A gap that was not written is not lost: it comes again, and tells of more.
        self.lose(count(&lines[written.max(gap.len())..]));
        match result {
            Ok(()) => {
                if self.retry.take().is_some() {
                    info!(missing = lost, "flow log lines can be written again");
                }
            }
            Err(Unwritten { error, .. }) if error.kind() == io::ErrorKind::BrokenPipe => {
                return Err(Unread);
            }
            Err(Unwritten { error, .. }) => {
                if !self.counts.failing.load(Ordering::Relaxed) {
                    warn!(%error, "flow log lines cannot be written and are counted as lost");
                }
                self.retry = Some(Instant::now() + RETRY);
            }
        }
        self.counts.failing.store(self.retry.is_some(), Ordering::Relaxed);
        Ok(())
    }

    /// The line about lines that are missing; nothing if none are.
    fn gap(&self, lines: u64) -> Vec<u8> {
        let mut gap = Vec::new();
        if lines > 0 {
            let missing = Gap { time: monotonic_now(), lines };
            // An error leaves it empty, and it is tried again.
            let _ = self.formatter.gap(&missing, self.clock, &mut gap);
        }
        gap
    }

    fn lose(&self, lines: u64) {
        self.counts.lost.fetch_add(lines, Ordering::Relaxed);
    }
}

/// How many lines there are; each event is one.
fn count(lines: &[u8]) -> u64 {
    lines.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

#[cfg(test)]
mod tests {
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
}
