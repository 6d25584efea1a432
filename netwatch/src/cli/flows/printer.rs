//! Lines on standard output, as it is: a terminal of some width, a pipe, a file.

use std::{
    io::{self, BufWriter, ErrorKind, Stdout, Write as _},
    time::Instant,
};

use super::{
    super::{Exit, Failure, terminal},
    width,
};
use crate::serve::flows::{Format, Request};

/// Writes lines, and keeps count of them.
pub(super) struct Printer {
    output: BufWriter<Stdout>,
    format: Format,
    on_terminal: bool,
    begin: Instant,
    header_follows: bool,
    lines: u64,
    missed: u64,
}

/// Why writing ended.
pub(super) enum Stop {
    /// Who reads our output has gone: a success, since who reads decides how much to read.
    Closed,
    /// It cannot be written to.
    Failed(Failure),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        if error.kind() == ErrorKind::BrokenPipe {
            return Self::Closed;
        }
        let message = format!("cannot write to standard output: {error}");
        Self::Failed(Failure::new(Exit::Failed, message))
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Printer {
    pub(super) fn new(request: &Request) -> Self {
        let format = request.style.format;
        Self {
            output: BufWriter::new(io::stdout()),
            format,
            on_terminal: matches!(format, Format::Text | Format::Wide) && terminal::is_terminal(),
            begin: Instant::now(),
            header_follows: format == Format::Csv,
            lines: 0,
            missed: 0,
        }
    }

    /// A line with its end. The first one of a table is its header, and no event's.
    pub(super) fn line(&mut self, line: &[u8]) -> Result<(), Stop> {
        self.lines += u64::from(!std::mem::take(&mut self.header_follows));
        let columns = if self.on_terminal { terminal::size() } else { None };
        match (columns, str::from_utf8(line)) {
            (Some((columns, _)), Ok(text)) => {
                let folded = width::folded(text.trim_end_matches('\n'), columns);
                writeln!(self.output, "{folded}")?;
            }
            _ => self.output.write_all(line)?,
        }
        Ok(())
    }

    /// Events that are missing here: in JSON a line among the others, else beside them.
    pub(super) fn missed(&mut self, events: u64) -> Result<(), Stop> {
        self.missed += events;
        if self.format == Format::Json {
            writeln!(self.output, "{{\"event\":\"missed\",\"events\":{events}}}")?;
            return Ok(());
        }
        self.flush()?;
        terminal::note(&format!("{events} events missed: the output was read too slowly"));
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Result<(), Stop> {
        Ok(self.output.flush()?)
    }

    /// What was shown, for the end.
    pub(super) fn summary(&self) -> String {
        let count = |number: u64, what: &str| {
            format!("{number} {what}{}", if number == 1 { "" } else { "s" })
        };
        let (lines, missed) = (count(self.lines, "line"), count(self.missed, "event"));
        format!("{lines}, {missed} missed, in {} s", self.begin.elapsed().as_secs())
    }
}
