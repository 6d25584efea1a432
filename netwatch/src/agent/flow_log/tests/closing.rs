//! The last lines: more than fit at once, and a task that takes none.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc,
};

use super::super::{
    super::{folding::Folding, told::Told},
    Counts, FlowLog, Line, QUEUE, Queue, Running,
};
use crate::model::{Clock, Gap};

fn gap() -> Line {
    Line::Gap(Gap { time: crate::model::Instant(0), lines: 1, away: None, uncounted: false })
}

/// A log whose lines somebody else takes.
fn written_by(
    runtime: &Runtime,
    task: impl FnOnce(mpsc::Receiver<Arc<Told>>) + Send + 'static,
) -> (FlowLog, Arc<Counts>) {
    let counts = Arc::new(Counts::default());
    let (lines, taken) = mpsc::channel(QUEUE);
    let queue = Queue { lines, counts: Arc::clone(&counts), is_patient: false };
    let task = runtime.spawn_blocking(move || task(taken));
    let writer = Some(Running { queue, task });
    let log =
        FlowLog { history: None, folding: Folding::new(None), writer, counts: Arc::clone(&counts) };
    (log, counts)
}

#[test]
fn in_the_end_more_lines_are_written_than_fit_at_once() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (report, reported) = std::sync::mpsc::channel();
    let (mut log, counts) = written_by(&runtime, move |mut queue| {
        held.recv().unwrap();
        let taken = std::iter::from_fn(|| queue.blocking_recv()).count();
        report.send(taken).unwrap();
    });
    for _ in 0..QUEUE + 10 {
        log.write(gap(), Clock::default());
    }
    assert_eq!(counts.lost.load(Ordering::Relaxed), 10);
    release.send(()).unwrap();
    log.begin_to_close();
    for _ in 0..3 * QUEUE {
        log.write(gap(), Clock::default());
    }
    runtime.block_on(log.close(Clock::default()));
    assert_eq!(reported.recv().unwrap(), 4 * QUEUE);
    assert_eq!(counts.lost.load(Ordering::Relaxed), 10);
}

#[test]
fn closing_does_not_wait_for_ever() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (release, stuck) = std::sync::mpsc::channel::<()>();
    let (log, counts) = written_by(&runtime, move |queue| {
        let _queue = queue;
        let _ = stuck.recv();
    });
    let closed = runtime.block_on(async move {
        let mut log = log;
        log.begin_to_close();
        for _ in 0..3 {
            log.write(gap(), Clock::default());
        }
        tokio::time::timeout(Duration::from_secs(20), log.close(Clock::default())).await
    });
    assert!(closed.is_ok());
    assert_eq!(counts.lost.load(Ordering::Relaxed), 3);
    drop(release);
}

#[test]
fn a_mark_is_waited_for_until_what_is_before_it_is_written() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (release, stuck) = std::sync::mpsc::channel::<()>();
    let (mut log, counts) = written_by(&runtime, move |queue| {
        let _queue = queue;
        let _ = stuck.recv();
    });
    log.write(gap(), Clock::default());
    let mark = log.mark();
    log.write(gap(), Clock::default());
    let (begin, patience) = (Instant::now(), Duration::from_millis(50));
    mark.wait(patience);
    assert!(begin.elapsed() >= patience);
    counts.written.fetch_add(1, Ordering::Relaxed);
    // Not for what came after it.
    mark.wait(Duration::from_hours(1));
    drop((release, log));
}
