//! The socket without an agent: events of a test's own.

mod connection;
mod filter;
mod history;
mod nonsense;
mod place;
mod top;

use std::{io, sync::Arc, time::Instant};

use super::{Counts, Event, Facts, Kind, Source, Style, history::PLACE};
use crate::model::WallTime;

/// An event that is only a number. Its line is long enough that a few hundred fill a socket's buffer.
pub(super) struct Number(pub(super) u64);

/// Bytes that an event claims to take.
pub(super) const BYTES: usize = 1_000;
/// Length of a line.
pub(super) const LINE: usize = 2_000;

impl Event for Number {
    fn facts(&self) -> Facts<'_> {
        let kind = if self.0.is_multiple_of(2) { Kind::Start } else { Kind::End };
        Facts {
            kind,
            time: WallTime(self.0.into()),
            protocol: None,
            ends: None,
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

/// Where readers get numbers from. None goes on.
fn source(history: &Arc<History>) -> Source<Number> {
    Source {
        history: Arc::clone(history),
        running: Arc::new(|_, _| Box::pin(async { Vec::new() })),
        counts: Arc::new(Counts::default()),
    }
}

type History = super::History<Number>;

/// What a history needs for so many numbers. One more is put in before the oldest one goes, and the ring grows by doubling.
fn memory_of(numbers: usize) -> usize {
    numbers * BYTES + (numbers + 1).next_power_of_two().max(4) * PLACE
}

/// Publishes numbers.
fn publish(history: &History, numbers: std::ops::Range<u64>) {
    for number in numbers {
        history.publish(Arc::new(Number(number)), Instant::now());
    }
}
