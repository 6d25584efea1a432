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
            let missing = Gap { time: monotonic_now(), lines, away: None, uncounted: false };
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
mod tests;
