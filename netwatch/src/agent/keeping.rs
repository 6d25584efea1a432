//! Writes down what the next agent has to know, and goes on with what the one before has written.

use std::{
    io, mem,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::FutureExt as _;
use netwatch_common::outcome::Outcome;
use tokio::{task::JoinHandle, time};
use tracing::{info, warn};

use super::{
    core::Core,
    flow_log::Line,
    forgotten::Forgotten,
    state::{Draft, Earlier, State, StateFile, draft},
};
use crate::{
    datapath::{Datapath, monotonic_now},
    model::{Gap, Instant, Observation, Tally},
};

/// How often at most it is written.
const INTERVAL: Duration = Duration::from_secs(1);
/// Collecting it takes at most one part in so many of a CPU.
const SHARE: u32 = 200;
/// What nobody has told of yet may have ended long ago: its only line waits for so long for the names of its ends.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) struct Keeping {
    /// `None`: nothing outlives this agent.
    file: Option<StateFile>,
    /// What is to happen at the end: see [`Keeping::leaves`].
    leaves: Arc<AtomicBool>,
    next: time::Instant,
    writing: Option<JoinHandle<io::Result<()>>>,
    has_failed: bool,
    forgotten: Forgotten,
    away: Duration,
    /// When what we go on from was written, until we have read what came since.
    earlier: Option<Instant>,
    /// The first flows were told of.
    has_spoken: bool,
    /// Until then flows wait for the engine to say whose they are.
    patience: Instant,
}

impl Keeping {
    /// `directory`: where the file is, for an agent that something outlives. `leaves`: set before it is told to stop, if what
    /// counts is to go on.
    pub(super) fn new(directory: Option<&Path>, leaves: Arc<AtomicBool>) -> io::Result<Self> {
        Ok(Self {
            file: directory.map(StateFile::of_this_namespace).transpose()?,
            leaves,
            next: time::Instant::now(),
            writing: None,
            has_failed: false,
            forgotten: Forgotten::nothing(),
            away: Duration::ZERO,
            earlier: None,
            has_spoken: false,
            patience: Instant::default(),
        })
    }

    /// What an earlier agent has written.
    pub(super) fn read(&self) -> Earlier {
        self.file.as_ref().map_or(Earlier::Nothing, StateFile::read)
    }

    /// Another agent's file is not ours to write.
    pub(super) fn only_with(&mut self, datapath: &Datapath) {
        if !datapath.is_pinned() {
            self.file = None;
        }
    }

    /// For how long in all nobody has read what was counted.
    pub(super) fn away(&self) -> Duration {
        self.away
    }

    /// Packets that were counted in flows, and are in no figure about flows.
    pub(super) fn forgotten(&self) -> Tally {
        self.forgotten.known()
    }

    /// Writes as soon as may be: something has come that the next agent could not find out.
    pub(super) fn hurry(&mut self) {
        self.next = self.next.min(time::Instant::now());
    }

    /// Flows are told of. The first time that may be much, which the next agent is not to tell once more.
    pub(super) fn speaks(&mut self) {
        if !mem::replace(&mut self.has_spoken, true) {
            self.hurry();
        }
    }

    /// Whether counting is to go on when this agent has ended.
    pub(super) fn leaves(&self) -> bool {
        self.file.is_some() && self.leaves.load(Ordering::Relaxed)
    }

    /// Says once that it failed, and once that it no longer does. Whether it was written.
    fn note(&mut self, result: &io::Result<()>) -> bool {
        match result {
            Ok(()) if self.has_failed => {
                info!("what the next netwatch has to know is written again");
            }
            Err(error) if !self.has_failed => {
                warn!(%error, "what the next netwatch has to know cannot be written (--state-dir)");
            }
            _ => {}
        }
        self.has_failed = result.is_err();
        result.is_ok()
    }
}

impl Core {
    /// Goes on with what an earlier agent has written, before anything is attached.
    pub(super) fn take_over(&mut self, earlier: Earlier) {
        if self.datapath.is_pinned() {
            match earlier {
                Earlier::Nothing => {}
                Earlier::Known(state) if self.datapath.is_inherited() => self.go_on(*state),
                Earlier::Known(state) => self.begin_anew(*state),
                Earlier::Unusable(ago) => self.was_away(monotonic_now(), ago, true),
            }
        }
        match &self.keeping.file {
            // What is written is good until all that came since has been read.
            Some(file) if self.keeping.earlier.is_some() => {
                self.datapath.note_into(file.note(monotonic_now()).ok());
            }
            _ => {
                self.write_state();
            }
        }
    }

    fn go_on(&mut self, state: State) {
        let now = monotonic_now();
        let away = now.since(state.time());
        self.keeping.earlier = Some(state.time());
        self.tracker.restore(state.flows, true);
        self.accounts.restore(state.accounts, true);
        self.labelled.restore(&state.labelled);
        self.ports.restore(state.ports);
        for outcome in Outcome::ALL {
            let told = state.told.iter().find(|(number, _)| *number == *outcome as u32);
            if let Some((_, tally)) = told {
                self.told.insert(*outcome, *tally);
            }
        }
        self.keeping.forgotten = Forgotten::by_others(state.forgotten);
        self.keeping.away = state.away;
        self.was_away(now, away, false);
        let seconds = away.as_secs_f64();
        info!("goes on with what an earlier netwatch has left counting {seconds:.3} s ago");
    }

    /// The sums are as good as ever; what they were read from is not there any more.
    fn begin_anew(&mut self, state: State) {
        let now = monotonic_now();
        let away = now.since(state.time());
        self.tracker.restore(state.flows, false);
        self.accounts.restore(state.accounts, false);
        self.labelled.restore(&state.labelled);
        self.keeping.away = state.away;
        self.was_away(now, away, true);
        info!("flows and the counters of containers and edges go on; interfaces begin anew");
    }

    /// Nobody has read for so long; where it was not even counted, it is in no figure.
    fn was_away(&mut self, now: Instant, away: Duration, uncounted: bool) {
        self.keeping.away += away;
        self.keeping.patience = now.after(PATIENCE);
        self.delivery.is_incomplete(now);
        let gap = Gap { time: now, lines: 0, away: Some(away), uncounted };
        self.flow_log.write(Line::Gap(gap), self.clock);
    }

    /// All is attached to. What has happened since the word of an earlier agent is read, and written down before anybody is told
    /// that this one is ready: the next one may be needed soon.
    pub(super) fn catch_up(&mut self) {
        let Some(since) = self.keeping.earlier.take() else { return };
        let mut missed = Vec::new();
        match self.keeping.file.as_ref().map(|file| file.noted(since)).transpose() {
            Ok(noted) => {
                let noted = noted.unwrap_or_default();
                self.datapath.read_noted(&noted, |observation| missed.push(observation));
            }
            Err(error) => {
                warn!(%error, "what an earlier netwatch had noted cannot be read (--state-dir)");
            }
        }
        self.datapath.read_flows(|observation| missed.push(observation));
        // Several connections may have used the same ports, and each CPU has an entry of its own for each.
        missed.sort_by_key(Observation::turn);
        for observation in missed {
            self.observe(&observation);
        }
        self.take_up();
        self.write_state();
    }

    /// Whether flows can be told of: who is who is known, as far as it will be.
    pub(super) fn can_name(&self, now: Instant) -> bool {
        self.listed && (self.directory.is_informed() || now >= self.keeping.patience)
    }

    /// After a reading. `seen`: all packets when it began; `is_quiet`: none have come since the one before.
    pub(super) fn keep(&mut self, seen: Tally, is_quiet: bool) {
        if !self.keeping.forgotten.is_exact() {
            let explained = |(outcome, tally): &(Outcome, Tally)| {
                if *outcome == Outcome::AgentRestart { Tally::ZERO } else { *tally }
            };
            let counted = self.tracker.totals().counted;
            let counted = self.outcomes().iter().map(explained).fold(counted, |sum, one| sum + one);
            self.keeping.forgotten.settle(seen.since(counted), is_quiet);
        }
        if self.datapath.has_noted_much() {
            self.keeping.hurry();
        }
        // Before that, nothing has been read since it was taken over, and written.
        if !self.ready || self.keeping.file.is_none() || time::Instant::now() < self.keeping.next {
            return;
        }
        match self.keeping.writing.take() {
            Some(writing) if !writing.is_finished() => self.keeping.writing = Some(writing),
            Some(writing) => {
                if let Some(result) = writing.now_or_never() {
                    self.keeping.note(&result.unwrap_or_else(|error| Err(io::Error::other(error))));
                }
                self.begin_to_write();
            }
            None => self.begin_to_write(),
        }
    }

    fn begin_to_write(&mut self) {
        let begin = time::Instant::now();
        if let Some(file) = self.keeping.file.clone() {
            // What it says to have been told must not be lost with us.
            let told = self.flow_log.mark();
            let (time, (draft, made)) = (self.turn_over(&file), draft());
            let write = move || file.write(made, time, || told.wait(PATIENCE));
            self.keeping.writing = Some(tokio::task::spawn_blocking(write));
            self.write_down(time, draft);
        }
        self.keeping.next = begin + (begin.elapsed() * SHARE).max(INTERVAL);
    }

    /// Makes and writes it now, one after the other. Whether that went well.
    fn write_state(&mut self) -> bool {
        let Some(file) = self.keeping.file.clone() else { return false };
        let (time, (draft, made)) = (self.turn_over(&file), draft());
        self.write_down(time, draft);
        let result = file.write(made, time, || ());
        self.keeping.note(&result)
    }

    /// What is taken out of the kernel for good from now on is noted beside what is known now.
    fn turn_over(&mut self, file: &StateFile) -> Instant {
        let time = monotonic_now();
        // Notes are forgotten when what came of them is written: where that fails, they would become ever more.
        let notes = if self.keeping.has_failed { None } else { file.note(time).ok() };
        self.datapath.note_into(notes);
        time
    }

    /// What is known at this time. Whoever writes the file notices if not all are there.
    fn write_down(&self, time: Instant, draft: Draft) {
        let state = State {
            kernel: self.datapath.id(),
            bookmark: self.datapath.bookmark(),
            time: time.0,
            accounts: self.accounts.kept(),
            ports: self.ports.kept(),
            labelled: self.labelled.all(),
            flows: self.tracker.keep(),
            told: self.told.iter().map(|(outcome, tally)| (*outcome as u32, *tally)).collect(),
            forgotten: self.keeping.forgotten(),
            away: self.keeping.away,
        };
        let _ = state.encode(draft);
    }

    /// Ends: all has been read and told. Either counting goes on, for an agent that knows all of this, or nothing is left.
    pub(super) async fn part(&mut self) -> Parting {
        if let Some(writing) = self.keeping.writing.take() {
            // Two at a time would write into one file.
            let _ = writing.await;
        }
        if self.keeping.leaves() && self.write_state() {
            return Parting::Leave;
        }
        if let Some(Err(error)) = self.keeping.file.as_ref().map(StateFile::remove) {
            warn!(%error, "what was written for the next netwatch cannot be removed");
        }
        Parting::Remove
    }
}

/// What becomes of the kernel side.
pub(super) enum Parting {
    /// It counts on.
    Leave,
    /// It ends.
    Remove,
}
