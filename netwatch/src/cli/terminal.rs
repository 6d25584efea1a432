//! Writing to standard output and standard error without a panic when the reader has gone.

use std::{
    io::{self, ErrorKind, IsTerminal, Write},
    time::Duration,
};

use terminal_size::{Height, Width};

use super::{Exit, Failure};
use crate::agent::journal::{self, Journal};

/// Writes to standard output. A closed pipe is a success: who reads decides how much to read.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Failed, format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// So long a failure may take to be written: nobody may read it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Writes a failure to standard error. If that fails too there is nobody left to tell, but the exit code remains.
pub(super) fn report(failure: &Failure) {
    let _ = Journal.write_all(failure.lines().as_bytes());
    journal::settle(PATIENCE);
}

/// Writes a remark to standard error, which nobody has to read.
pub(super) fn note(text: &str) {
    let line = Failure::new(Exit::Done, text).lines();
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// Whether standard output is a terminal.
pub(super) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Columns and rows of the terminal that standard output is, as they are now.
pub(super) fn size() -> Option<(usize, usize)> {
    let (Width(columns), Height(rows)) = terminal_size::terminal_size_of(io::stdout())?;
    // A terminal that does not know says zero.
    (columns > 0 && rows > 0).then_some((columns.into(), rows.into()))
}

/// Whether to colour what goes to standard output.
pub(super) fn colour_on_stdout() -> bool {
    io::stdout().is_terminal() && colour_allowed()
}

/// Whether to colour what goes to standard error.
pub(super) fn colour_on_stderr() -> bool {
    io::stderr().is_terminal() && colour_allowed()
}

/// <https://no-color.org>: set and not empty means no colour.
fn colour_allowed() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
