//! The flow log: a task that formats and writes lines, so that a slow disk or terminal never holds up the core. What it
//! writes is in the history too, whether or not there is a file.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tracing::{info, warn};

use super::{
    AgentError,
    config::{Config, FlowFormat, FlowLogTarget},
    folding::Folding,
    told::Told,
};
use crate::{
    datapath::monotonic_now,
    model::{Clock, FlowEvent, Fold, Lookup, Loss, SampleEvent},
    output::{Format, Formatter},
    serve::flows::History,
};

/// Lines that may wait to be written. More are counted as lost.
const QUEUE: usize = 16_384;

/// Something that makes a line.
pub(super) enum Line {
    Flow(Box<FlowEvent>),
    Fold(Box<Fold>),
    Loss(Loss),
    Lookup(Box<Lookup>),
    Sample(Box<SampleEvent>),
}

/// Writes lines, and hands them to the history; without either it swallows them.
pub(super) struct FlowLog {
    history: Option<Arc<History<Told>>>,
    folding: Folding,
    writer: Option<Running>,
    counts: Arc<Counts>,
}

type Running = (mpsc::Sender<Arc<Told>>, JoinHandle<()>);

#[derive(Default)]
struct Counts {
    written: AtomicU64,
    lost: AtomicU64,
}

impl Counts {
    /// Hands a line to the task, or counts it as lost if the task is too far behind. Samples never fill the queue to the
    /// end: there is always room for flows.
    fn hand_over(&self, lines: &mpsc::Sender<Arc<Told>>, told: Arc<Told>) {
        let kept_free = if matches!(told.line, Line::Sample(_)) { QUEUE / 2 } else { 0 };
        if lines.capacity() <= kept_free || lines.try_send(told).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl FlowLog {
    /// Opens the file, and starts the task. `stop` is told when standard output has no reader any more.
    pub(super) fn open(
        config: &Config,
        history: Option<Arc<History<Told>>>,
        stop: Arc<watch::Sender<bool>>,
    ) -> Result<Self, AgentError> {
        let counts = Arc::new(Counts::default());
        let Some(target) = &config.flow_log else {
            return Ok(Self { history, folding: Folding::new(None), writer: None, counts });
        };
        let format = match config.flow_format {
            FlowFormat::Text => Format::Text,
            FlowFormat::Json => Format::Json,
        };
        let mut formatter = Formatter::new(format, jiff::tz::TimeZone::system());
        let output = match target {
            FlowLogTarget::Stdout => {
                formatter.colour = config.colour;
                Output::Stdout(io::stdout())
            }
            FlowLogTarget::File(path) => Output::File(
                OpenOptions::new()
                    .append(true)
                    .create(true)
                    .open(path)
                    .map_err(|source| AgentError::FlowLog { path: path.clone(), source })?,
            ),
        };
        let (lines, queue) = mpsc::channel(QUEUE);
        let writer =
            Writer { output: BufWriter::new(output), formatter, counts: Arc::clone(&counts), stop };
        let task = tokio::task::spawn_blocking(move || writer.run(queue));
        let folding = Folding::new(config.fold);
        Ok(Self { history, folding, writer: Some((lines, task)), counts })
    }

    /// Whether lines go anywhere. Where they do not, nobody need make any.
    pub(super) fn has_reader(&self) -> bool {
        self.writer.is_some() || self.history.is_some()
    }

    /// Hands a line to the history, and to the task as soon as it is not folded any more.
    pub(super) fn write(&mut self, line: Line, clock: Clock) {
        let told = Arc::new(Told { line, clock });
        if let Some(history) = &self.history {
            history.publish(Arc::clone(&told), Instant::now());
        }
        if let Some((lines, _)) = &self.writer {
            let counts = &self.counts;
            self.folding.take(told, monotonic_now(), &mut |told| counts.hand_over(lines, told));
        }
    }

    /// Hands over what has been folded for long enough.
    pub(super) fn tick(&mut self, clock: Clock) {
        if let Some((lines, _)) = &self.writer {
            let counts = &self.counts;
            self.folding.tick(monotonic_now(), clock, &mut |told| counts.hand_over(lines, told));
        }
    }

    /// Lines written, lines lost.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.counts.written.load(Ordering::Relaxed), self.counts.lost.load(Ordering::Relaxed))
    }

    /// Ends the history, and waits until everything is written.
    pub(super) async fn close(mut self, clock: Clock) {
        if let Some(history) = &self.history {
            history.close();
        }
        if let Some((lines, task)) = self.writer {
            self.folding.finish(clock, &mut |told| self.counts.hand_over(&lines, told));
            drop(lines);
            if let Err(error) = task.await {
                warn!(%error, "the flow log's task");
            }
        }
    }
}

struct Writer {
    output: BufWriter<Output>,
    formatter: Formatter,
    counts: Arc<Counts>,
    stop: Arc<watch::Sender<bool>>,
}

impl Writer {
    fn run(mut self, mut queue: mpsc::Receiver<Arc<Told>>) {
        let mut buffer = Vec::new();
        let mut unflushed = 0;
        let mut failing = false;
        while let Some(told) = queue.blocking_recv() {
            buffer.clear();
            unflushed += 1;
            let written = told
                .format(&self.formatter, &mut buffer)
                .and_then(|()| self.output.write_all(&buffer))
                .and_then(|()| if queue.is_empty() { self.output.flush() } else { Ok(()) });
            match written {
                Ok(()) if queue.is_empty() => {
                    self.counts
                        .written
                        .fetch_add(std::mem::take(&mut unflushed), Ordering::Relaxed);
                    failing = false;
                }
                Ok(()) => {}
                Err(error) => {
                    self.counts.lost.fetch_add(std::mem::take(&mut unflushed), Ordering::Relaxed);
                    if self.give_up(&error, failing) {
                        return;
                    }
                    failing = true;
                }
            }
        }
    }

    /// Whether nobody will ever read what is written. Otherwise says once that it fails, and goes on.
    fn give_up(&mut self, error: &io::Error, failing: bool) -> bool {
        if error.kind() == io::ErrorKind::BrokenPipe {
            info!("nobody reads the flow log any more: stopping");
            self.stop.send_replace(true);
            return true;
        }
        if !failing {
            warn!(%error, "flow log lines cannot be written and are counted as lost");
        }
        // What the buffer holds would be tried again, and written twice in part.
        let (output, _) =
            std::mem::replace(&mut self.output, BufWriter::new(Output::Sink(io::sink())))
                .into_parts();
        self.output = BufWriter::new(output);
        false
    }
}

enum Output {
    Stdout(io::Stdout),
    File(File),
    Sink(io::Sink),
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(output) => output.write(bytes),
            Self::File(output) => output.write(bytes),
            Self::Sink(output) => output.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(output) => output.flush(),
            Self::File(output) => output.flush(),
            Self::Sink(output) => output.flush(),
        }
    }
}
