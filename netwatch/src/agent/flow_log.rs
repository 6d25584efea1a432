//! The flow log: a task that formats and writes lines, so that a slow disk or terminal never holds up the core. What it
//! writes is in the history too, whether or not there is a file.

mod file;
mod folder;
mod output;
mod plan;
#[cfg(test)]
mod tests;
mod tidying;
mod writer;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tracing::warn;

use self::{output::Output, writer::Writer};
use super::{
    AgentError,
    config::{Config, FlowFormat, FlowLogTarget},
    folding::Folding,
    told::Told,
};
use crate::{
    datapath::monotonic_now,
    model::{Clock, FlowEvent, Fold, Gap, LifeEvent, Lookup, Loss, SampleEvent},
    output::{Format, Formatter},
    serve::flows::History,
};

/// Lines that may wait to be written; more are counted as lost. So many come in three seconds of 10,000 short connections each: on a
/// busy host the writer may have to wait that long for a CPU. As long as the history has them too they take no memory here.
const QUEUE: usize = 65_536;
/// Between two looks whether there is room.
const BREATH: Duration = Duration::from_millis(1);
/// So long the end waits for what is still to be written: a pipe that nobody empties takes nothing for ever.
const PATIENCE: Duration = Duration::from_secs(5);

/// Something that makes a line.
#[derive(Serialize, Deserialize)]
pub(super) enum Line {
    Flow(Box<FlowEvent>),
    Fold(Box<Fold>),
    Loss(Loss),
    Lookup(Box<Lookup>),
    Sample(Box<SampleEvent>),
    Life(Box<LifeEvent>),
    /// Only of a log that was kept: the writer puts it between the others.
    Gap(Gap),
}

/// Writes lines, and hands them to the history; without either it swallows them.
pub(super) struct FlowLog {
    history: Option<Arc<History<Told>>>,
    folding: Folding,
    writer: Option<Running>,
    counts: Arc<Counts>,
}

struct Running {
    queue: Queue,
    task: JoinHandle<()>,
}

/// The way to the task.
struct Queue {
    lines: mpsc::Sender<Arc<Told>>,
    counts: Arc<Counts>,
    /// In the end there may be more lines than fit at once: then they wait, as long as the task takes some.
    is_patient: bool,
}

#[derive(Default)]
struct Counts {
    /// All that there were, to be written or lost.
    made: AtomicU64,
    written: AtomicU64,
    lost: AtomicU64,
    rotations: AtomicU64,
    /// Lines cannot be written.
    failing: AtomicBool,
}

/// What has become of lines, and of the file, until now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FlowLogStatus {
    pub(super) written: u64,
    pub(super) lost: u64,
    pub(super) rotations: u64,
    /// Whether lines can be written; `None`: they are not to be.
    pub(super) up: Option<bool>,
}

impl Counts {
    fn done(&self) -> u64 {
        self.written.load(Ordering::Relaxed) + self.lost.load(Ordering::Relaxed)
    }

    /// Gives up on lines that are not written yet; answers with how many that were.
    fn give_up(&self) -> u64 {
        let unwritten = self.made.load(Ordering::Relaxed).saturating_sub(self.done());
        self.lost.fetch_add(unwritten, Ordering::Relaxed);
        unwritten
    }
}

/// All lines that there were at some time.
pub(super) struct Mark {
    counts: Arc<Counts>,
    made: u64,
}

impl Mark {
    /// Waits until each is written or counted as lost, but no longer than that.
    pub(super) fn wait(&self, patience: Duration) {
        let until = Instant::now() + patience;
        while self.counts.done() < self.made && Instant::now() < until {
            std::thread::sleep(BREATH);
        }
    }
}

impl Queue {
    /// Hands a line to the task, or counts it as lost if the task is too far behind. Samples never fill the queue to the
    /// end: there is always room for flows.
    fn hand_over(&mut self, told: Arc<Told>) {
        self.counts.made.fetch_add(1, Ordering::Relaxed);
        let kept_free = if matches!(told.line, Line::Sample(_)) { QUEUE / 2 } else { 0 };
        if self.is_patient {
            self.wait();
        }
        if self.lines.capacity() <= kept_free || self.lines.try_send(told).is_err() {
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Until there is room. Once in vain is enough: the task is stuck.
    fn wait(&mut self) {
        let until = Instant::now() + PATIENCE;
        while self.lines.capacity() == 0 && !self.lines.is_closed() {
            if Instant::now() >= until {
                self.is_patient = false;
                return;
            }
            std::thread::sleep(BREATH);
        }
    }
}

impl FlowLog {
    /// Opens the file, and starts the task. `stop` is told when standard output has no reader any more; what `hang_up` tells
    /// of has the file opened again.
    pub(super) fn open(
        config: &Config,
        history: Option<Arc<History<Told>>>,
        stop: Arc<watch::Sender<bool>>,
        hang_up: watch::Receiver<()>,
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
                Output::stdout()
            }
            FlowLogTarget::File(path) => Output::open(path, config.rotation),
        };
        let output =
            output.map_err(|source| AgentError::FlowLog { target: target.clone(), source })?;
        let (lines, queue) = mpsc::channel(QUEUE);
        let writer = Writer::new(output, formatter, Arc::clone(&counts), stop);
        let runtime = tokio::runtime::Handle::current();
        let task = tokio::task::spawn_blocking(move || writer.run(queue, hang_up, &runtime));
        let folding = Folding::new(config.fold);
        let queue = Queue { lines, counts: Arc::clone(&counts), is_patient: false };
        Ok(Self { history, folding, writer: Some(Running { queue, task }), counts })
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
        if let Some(Running { queue, .. }) = &mut self.writer {
            self.folding.take(told, monotonic_now(), &mut |told| queue.hand_over(told));
        }
    }

    /// Hands over what has been folded for long enough.
    pub(super) fn tick(&mut self, clock: Clock) {
        if let Some(Running { queue, .. }) = &mut self.writer {
            self.folding.tick(monotonic_now(), clock, &mut |told| queue.hand_over(told));
        }
    }

    /// What comes from now on is the end of everything: whoever hands it over has time to wait.
    pub(super) fn begin_to_close(&mut self) {
        if let Some(Running { queue, .. }) = &mut self.writer {
            queue.is_patient = true;
        }
    }

    /// Those until now.
    pub(super) fn mark(&self) -> Mark {
        let made = self.counts.made.load(Ordering::Relaxed);
        Mark { counts: Arc::clone(&self.counts), made }
    }

    pub(super) fn status(&self) -> FlowLogStatus {
        let Counts { written, lost, rotations, failing, .. } = &*self.counts;
        FlowLogStatus {
            written: written.load(Ordering::Relaxed),
            lost: lost.load(Ordering::Relaxed),
            rotations: rotations.load(Ordering::Relaxed),
            up: self.writer.as_ref().map(|_| !failing.load(Ordering::Relaxed)),
        }
    }

    /// Ends the history, and waits until everything is written, but not for ever.
    pub(super) async fn close(mut self, clock: Clock) {
        if let Some(history) = &self.history {
            history.close();
        }
        if let Some(Running { mut queue, task }) = self.writer {
            self.folding.finish(clock, &mut |told| queue.hand_over(told));
            drop(queue);
            match tokio::time::timeout(PATIENCE, task).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => warn!(%error, "the flow log's task"),
                Err(_) => {
                    let lines = self.counts.give_up();
                    warn!(lines, "the flow log takes nothing: its last lines are not written");
                }
            }
        }
    }
}
