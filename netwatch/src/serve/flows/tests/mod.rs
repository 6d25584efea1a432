//! The socket without an agent: events of a test's own.

mod connection;
mod filter;
mod history;
mod nonsense;
mod place;
mod top;

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{Counts, Event, Facts, Folder, Kind, PATIENCE, Source, Style};
use crate::model::WallTime;

/// An event that is only a number. Its line is long enough that a few hundred fill a socket's buffer.
#[derive(Serialize, Deserialize)]
pub(super) struct Number(pub(super) u64);

/// Bytes that an event claims to take.
pub(super) const BYTES: usize = 1_000;
/// Length of a line.
pub(super) const LINE: usize = 2_000;

impl Event for Number {
    type Folder = Held<Self>;

    fn facts(&self) -> Facts<'_> {
        let kind = if self.0.is_multiple_of(2) { Kind::Start } else { Kind::End };
        Facts {
            kind,
            time: WallTime(self.0.into()),
            protocol: None,
            ends: None,
            via: None,
            containers: [None; 2],
            network: None,
            drops: false,
            flow: None,
        }
    }

    fn bytes(&self) -> usize {
        BYTES
    }

    fn write(&self, _: Style, out: &mut Vec<u8>) -> io::Result<()> {
        out.extend_from_slice(format!("{:<width$}\n", self.0, width = LINE - 1).as_bytes());
        Ok(())
    }
}

/// Makes no event of several, but holds each until its time has come.
pub(super) struct Held<E> {
    within: Duration,
    only_ends: bool,
    events: Vec<Arc<E>>,
}

impl<E: Event> Folder<E> for Held<E> {
    fn new(within: Duration, only_ends: bool) -> Self {
        Self { within, only_ends, events: Vec::new() }
    }

    fn take(&mut self, event: Arc<E>, _: &mut dyn FnMut(Arc<E>)) {
        assert!(!self.only_ends || event.facts().kind == Kind::End);
        self.events.push(event);
    }

    fn tick(&mut self, now: WallTime, out: &mut dyn FnMut(Arc<E>)) {
        let within = i128::try_from(self.within.as_nanos()).unwrap();
        self.events.extract_if(.., |event| event.facts().time.0 + within <= now.0).for_each(out);
    }

    fn finish(&mut self, out: &mut dyn FnMut(Arc<E>)) {
        self.events.drain(..).for_each(out);
    }

    fn is_waiting(&self) -> bool {
        !self.events.is_empty()
    }
}

/// Where readers get numbers from. None goes on.
fn source(history: &Arc<History>) -> Source<Number> {
    Source {
        history: Arc::clone(history),
        running: Arc::new(|_, _| Box::pin(async { Vec::new() })),
        counts: Arc::new(Counts::default()),
        patience: PATIENCE,
    }
}

type History = super::History<Number>;

/// What a history needs for so many numbers.
fn memory_of(numbers: usize) -> usize {
    numbers * BYTES
}

/// Publishes numbers.
fn publish(history: &History, numbers: std::ops::Range<u64>) {
    for number in numbers {
        history.publish(Arc::new(Number(number)), Instant::now());
    }
}
