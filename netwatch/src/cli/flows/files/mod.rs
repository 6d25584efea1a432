//! `--file`: flow logs in JSON, one after the other, as if an agent told of them.

mod damage;
mod lines;

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{signal::ctrl_c, sync::oneshot, time::timeout};

use self::{damage::Damage, lines::Lines};
use super::{
    super::{Exit, Failure, terminal},
    printer::{Printer, Stop},
};
use crate::{
    agent::kept::Kept,
    serve::flows::{Event as _, Folding, Request, Style, Top},
};

/// Until reading has noticed that it is to stop. Standard input may have nothing to say for long.
const PATIENCE: Duration = Duration::from_millis(500);

/// Shows the events of these files that are asked for.
pub(super) async fn show(files: Vec<PathBuf>, request: Request) -> Result<(), Failure> {
    lines::check(&files)?;
    let stop = Arc::new(AtomicBool::new(false));
    let (report, mut end) = oneshot::channel();
    let stopped = Arc::clone(&stop);
    // A thread of its own, which an end of the program does not wait for.
    std::thread::spawn(move || {
        let mut reading = Reading::new(request, stopped);
        let result = reading.read(&files).map(|()| reading.printer.summary());
        // Who has stopped waiting says something itself.
        let _ = report.send((result, reading.damage));
    });
    let interrupted = tokio::select! {
        end = &mut end => return finish(end, false),
        _ = ctrl_c() => true,
    };
    stop.store(true, Ordering::Relaxed);
    if let Ok(end) = timeout(PATIENCE, end).await {
        return finish(end, interrupted);
    }
    terminal::note("interrupted while waiting for more to read");
    Ok(())
}

/// How reading ended, what was shown, and what could not be read.
type End = (Result<String, Stop>, Damage);

fn finish(end: Result<End, oneshot::error::RecvError>, interrupted: bool) -> Result<(), Failure> {
    let Ok((result, damage)) = end else {
        return Err(Failure::new(Exit::Failed, "reading ended before the end of the files")
            .hint("this is a fault of netwatch: report it, with the lines above"));
    };
    match result {
        Err(Stop::Closed) => return Ok(()),
        Err(Stop::Failed(failure)) => return Err(failure),
        Ok(summary) if interrupted => terminal::note(&summary),
        Ok(_) => {}
    }
    damage.report()
}

struct Reading {
    request: Request,
    stopped: Arc<AtomicBool>,
    printer: Printer,
    folding: Folding<Kept>,
    damage: Damage,
    /// Of those that are wanted: all, the last, the largest.
    collected: Collected,
}

enum Collected {
    Nothing,
    Last(usize, VecDeque<Arc<Kept>>),
    Largest(Top<Kept>),
}

impl Reading {
    fn new(request: Request, stopped: Arc<AtomicBool>) -> Self {
        let collected = match (request.rank, request.last) {
            (Some(ranking), _) => Collected::Largest(Top::new(ranking)),
            (None, Some(count)) => Collected::Last(count, VecDeque::new()),
            (None, None) => Collected::Nothing,
        };
        let printer = Printer::new(&request);
        let folding = Folding::new(&request);
        Self { request, stopped, printer, folding, damage: Damage::default(), collected }
    }

    fn read(&mut self, files: &[PathBuf]) -> Result<(), Stop> {
        if let Some(header) = Kept::header(self.request.style) {
            self.printer.line(header.as_bytes())?;
        }
        for file in files {
            self.read_file(file)?;
        }
        match std::mem::replace(&mut self.collected, Collected::Nothing) {
            Collected::Nothing => {}
            Collected::Last(_, events) => {
                events.iter().try_for_each(|event| self.print(event))?;
            }
            Collected::Largest(top) => top.events().try_for_each(|event| self.print(event))?,
        }
        self.folded(|folding, out| folding.finish(out))?;
        self.printer.flush()
    }

    fn read_file(&mut self, file: &Path) -> Result<(), Stop> {
        let mut lines = match Lines::open(file) {
            Ok(lines) => lines,
            Err(error) => {
                self.damage.note(file, None, &error.to_string());
                return Ok(());
            }
        };
        while !self.stopped.load(Ordering::Relaxed) {
            if lines.has_to_wait() {
                self.printer.flush()?;
            }
            let event = match lines.next() {
                Ok(Some(line)) => Kept::read(line),
                Ok(None) => break,
                // What is behind it cannot be read either.
                Err(lines::Error::Unreadable(error)) => {
                    self.damage.note(file, Some(lines.number()), &error.to_string());
                    break;
                }
                Err(lines::Error::TooLong) => Err(lines::Error::TooLong.to_string()),
            };
            match event {
                Ok(event) => self.take(&Arc::new(event))?,
                Err(what) => self.damage.note(file, Some(lines.number()), &what),
            }
        }
        Ok(())
    }

    fn take(&mut self, event: &Arc<Kept>) -> Result<(), Stop> {
        let facts = event.facts();
        if !self.request.spans(&facts) {
            return Ok(());
        }
        if !self.request.filter.admits(&facts) {
            // What has become of the flow is not wanted.
            if let Collected::Largest(top) = &mut self.collected {
                top.remove(event);
            }
            return Ok(());
        }
        match &mut self.collected {
            Collected::Nothing => self.print(event)?,
            Collected::Last(count, events) => {
                events.push_back(Arc::clone(event));
                if events.len() > *count {
                    events.pop_front();
                }
            }
            Collected::Largest(top) => top.offer(event),
        }
        Ok(())
    }

    /// Shows an event, unless it is folded.
    fn print(&mut self, event: &Arc<Kept>) -> Result<(), Stop> {
        self.folded(|folding, out| folding.take(event, out))
    }

    /// Shows what is folded no longer.
    fn folded(
        &mut self,
        give_out: impl FnOnce(&mut Folding<Kept>, &mut dyn FnMut(Arc<Kept>)),
    ) -> Result<(), Stop> {
        let Self { folding, printer, request, .. } = self;
        let mut result = Ok(());
        give_out(folding, &mut |event| {
            if result.is_ok() {
                result = print(printer, request.style, &event);
            }
        });
        result
    }
}

fn print(printer: &mut Printer, style: Style, event: &Kept) -> Result<(), Stop> {
    let mut line = Vec::new();
    event.write(style, &mut line)?;
    printer.line(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_panicked_is_a_failure() {
        let (report, end) = oneshot::channel();
        drop(report);
        let failure = finish(end.blocking_recv(), false).expect_err("a failure");
        assert_eq!(failure.code(), Exit::Failed);
    }
}
