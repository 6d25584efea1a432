//! The flow log: a model event in, one line of bytes out. Pure; the caller owns files, sockets and time.
//!
//! Promises: one event is one line, ended by one `\n`; no name, network or image (all of them chosen by containers) can
//! end the line early, add a field to it, pose as another kind of end, or send a terminal a command.

mod csv;
mod escape;
#[cfg(test)]
mod fixture;
mod fold;
#[cfg(test)]
mod fold_fixture;
mod gap;
mod human;
mod json;
mod life;
mod lookup;
mod passed_on;
mod record;
mod sample;
mod schema;
#[cfg(test)]
mod schema_tests;
#[cfg(test)]
mod tests;
mod text;
mod view;
mod wide;

pub use schema::schema;

use jiff::{Timestamp, tz::TimeZone};

pub use record::{Record, read};

use crate::model::{Clock, FlowEvent, Fold, Gap, Instant, LifeEvent, Lookup, Loss, SampleEvent};

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people, `grep` and `awk`.
    #[default]
    Text,
    /// One JSON object a line; [`schema`] describes it.
    Json,
    /// One row of a table a line; docs/flows.md has the columns.
    Csv,
}

/// Writes events.
#[derive(Clone, Debug)]
pub struct Formatter {
    /// Text or JSON.
    pub format: Format,
    /// The time zone of all times: shown in JSON, understood in text.
    pub zone: TimeZone,
    /// Text: also addresses, interfaces, images and the number of the flow. The others always have them.
    pub wide: bool,
    /// Text: colour the words `start`, `update`, `end`, `lost`, `dns`, `sample`, `event`, `gap`.
    pub colour: bool,
}

impl Formatter {
    /// A formatter without frills.
    pub fn new(format: Format, zone: TimeZone) -> Self {
        Self { format, zone, wide: false, colour: false }
    }

    /// The line before all others, of a format that has one.
    pub fn header(&self) -> Option<String> {
        (self.format == Format::Csv).then(csv::header)
    }

    /// Appends the line of a flow event. `clock` is the one that was right when the event was made.
    ///
    /// An error leaves `out` as it was; the line counts as lost.
    pub fn flow(&self, event: &FlowEvent, clock: Clock, out: &mut Vec<u8>) -> std::io::Result<()> {
        match self.format {
            Format::Text => {
                out.extend_from_slice(text::flow(self, event, clock).as_bytes());
                Ok(())
            }
            Format::Csv => {
                out.extend_from_slice(csv::flow(self, event, clock).as_bytes());
                Ok(())
            }
            Format::Json => json::line(&view::flow(self, event, clock), out),
        }
    }

    /// Appends the line of several flows, as [`Self::flow`] does that of one.
    pub fn fold(&self, fold: &Fold, clock: Clock, out: &mut Vec<u8>) -> std::io::Result<()> {
        match self.format {
            Format::Text => {
                out.extend_from_slice(fold::line(self, fold, clock).as_bytes());
                Ok(())
            }
            Format::Csv => {
                out.extend_from_slice(csv::fold(self, fold, clock).as_bytes());
                Ok(())
            }
            Format::Json => json::line(&fold::view(self, fold, clock), out),
        }
    }

    /// Appends the line of a loss, as [`Self::flow`] does that of a flow.
    pub fn loss(&self, loss: &Loss, clock: Clock, out: &mut Vec<u8>) -> std::io::Result<()> {
        match self.format {
            Format::Text => {
                out.extend_from_slice(text::loss(self, loss, clock).as_bytes());
                Ok(())
            }
            Format::Csv => {
                out.extend_from_slice(csv::loss(self, loss, clock).as_bytes());
                Ok(())
            }
            Format::Json => json::line(&view::loss(self, loss, clock), out),
        }
    }

    /// Appends the line about missing lines, as [`Self::flow`] does that of a flow.
    pub fn gap(&self, gap: &Gap, clock: Clock, out: &mut Vec<u8>) -> std::io::Result<()> {
        match self.format {
            Format::Text => {
                out.extend_from_slice(gap::line(self, gap, clock).as_bytes());
                Ok(())
            }
            Format::Csv => {
                out.extend_from_slice(csv::gap(self, gap, clock).as_bytes());
                Ok(())
            }
            Format::Json => json::line(&gap::view(self, gap, clock), out),
        }
    }

    /// Appends the line of a look-up, as [`Self::flow`] does that of a flow.
    pub fn lookup(&self, lookup: &Lookup, clock: Clock, out: &mut Vec<u8>) -> std::io::Result<()> {
        match self.format {
            Format::Text => {
                out.extend_from_slice(lookup::line(self, lookup, clock).as_bytes());
                Ok(())
            }
            Format::Csv => {
                out.extend_from_slice(csv::lookup(self, lookup, clock).as_bytes());
                Ok(())
            }
            Format::Json => json::line(&lookup::view(self, lookup, clock), out),
        }
    }

    /// Appends the line of what happened to a container, as [`Self::flow`] does that of a flow.
    pub fn life(&self, event: &LifeEvent, clock: Clock, out: &mut Vec<u8>) -> std::io::Result<()> {
        match self.format {
            Format::Text => {
                out.extend_from_slice(life::line(self, event, clock).as_bytes());
                Ok(())
            }
            Format::Csv => {
                out.extend_from_slice(csv::life(self, event, clock).as_bytes());
                Ok(())
            }
            Format::Json => json::line(&life::view(self, event, clock), out),
        }
    }

    /// Appends the line of a sample, as [`Self::flow`] does that of a flow.
    pub fn sample(
        &self,
        event: &SampleEvent,
        clock: Clock,
        out: &mut Vec<u8>,
    ) -> std::io::Result<()> {
        match self.format {
            Format::Text => {
                out.extend_from_slice(sample::line(self, event, clock).as_bytes());
                Ok(())
            }
            Format::Csv => {
                out.extend_from_slice(csv::sample(self, event, clock).as_bytes());
                Ok(())
            }
            Format::Json => json::line(&sample::view(self, event, clock), out),
        }
    }
}

/// Appends a line that [`read`] has taken, in printable ASCII and with a newline.
pub fn printable(line: &[u8], out: &mut Vec<u8>) -> std::io::Result<()> {
    json::printable(line, out)
}

/// The wall time of an instant, at the limits of what a calendar can show where it is beyond them.
fn timestamp(clock: Clock, instant: Instant) -> Timestamp {
    let wall = clock.wall(instant).0;
    Timestamp::from_nanosecond(wall).unwrap_or(if wall < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}
