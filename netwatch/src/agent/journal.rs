//! Netwatch's own log on its way to standard error, which may be a pipe that nobody empties: whoever logs never waits.
//!
//! A process has one standard error, so there is one journal.

use std::{
    io::{self, Write},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

/// Lines that may wait to be written. More are counted as lost.
const QUEUE: usize = 1_024;
/// Between two looks whether everything is written.
const BREATH: Duration = Duration::from_millis(1);

static QUEUED: OnceLock<Option<SyncSender<Vec<u8>>>> = OnceLock::new();
static COUNTS: Counts =
    Counts { made: AtomicU64::new(0), written: AtomicU64::new(0), lost: AtomicU64::new(0) };

struct Counts {
    made: AtomicU64,
    written: AtomicU64,
    lost: AtomicU64,
}

impl Counts {
    /// Hands over a line, or counts it as lost where the writer is too far behind.
    fn hand_over(&self, queue: &SyncSender<Vec<u8>>, line: Vec<u8>) {
        self.made.fetch_add(1, Ordering::Relaxed);
        if queue.try_send(line).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn waiting(&self) -> u64 {
        let done = self.written.load(Ordering::Relaxed) + self.lost.load(Ordering::Relaxed);
        self.made.load(Ordering::Relaxed).saturating_sub(done)
    }
}

/// Takes a line at a time, and never waits.
#[derive(Clone, Copy, Debug)]
pub struct Journal;

impl Write for Journal {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match QUEUED.get_or_init(|| start(&COUNTS, io::stderr())) {
            Some(queue) => COUNTS.hand_over(queue, line.to_vec()),
            // No thread could be had.
            None => io::stderr().write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lines of netwatch's own log that were lost.
pub fn lost() -> u64 {
    COUNTS.lost.load(Ordering::Relaxed)
}

/// Waits until everything is written, but no longer than this.
pub fn settle(patience: Duration) {
    let until = Instant::now() + patience;
    while COUNTS.waiting() > 0 && Instant::now() < until {
        thread::sleep(BREATH);
    }
}

/// The writer, on a thread of its own, which an end of the program does not wait for.
fn start(
    counts: &'static Counts,
    mut output: impl Write + Send + 'static,
) -> Option<SyncSender<Vec<u8>>> {
    let (queue, lines) = sync_channel::<Vec<u8>>(QUEUE);
    let write = move || {
        for line in lines {
            let count =
                if output.write_all(&line).is_ok() { &counts.written } else { &counts.lost };
            count.fetch_add(1, Ordering::Relaxed);
        }
    };
    thread::Builder::new().name("journal".to_owned()).spawn(write).ok().map(|_| queue)
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, os::unix::net::UnixStream};

    use super::*;

    static STUCK: Counts =
        Counts { made: AtomicU64::new(0), written: AtomicU64::new(0), lost: AtomicU64::new(0) };

    #[test]
    fn a_reader_that_sleeps_holds_up_nobody_and_what_is_lost_is_counted() {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        let queue = start(&STUCK, writer).unwrap();
        let line = [vec![b'x'; 999], b"\n".to_vec()].concat();
        for _ in 0..10_000 {
            STUCK.hand_over(&queue, line.clone());
        }
        let lost = STUCK.lost.load(Ordering::Relaxed);
        assert!(lost > 1_000, "a socket takes no ten megabytes: {lost}");
        drop(queue);
        let mut received = Vec::new();
        reader.read_to_end(&mut received).unwrap();
        assert_eq!(received.len() as u64, (10_000 - lost) * 1_000);
        assert_eq!(STUCK.waiting(), 0);
    }
}
