//! What xtask says: progress on standard error, results on standard output.
//!
//! A closed pipe is not an error of ours (`cargo xtask setup | head`), and must never keep a clean-up from running, so
//! failed writes are ignored here, in the one place that writes.

use std::{
    fmt::Display,
    io::{self, Write as _},
};

/// One line of progress.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "xtask: {line}");
}

/// One or more lines of result.
pub(crate) fn show(text: impl Display) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}
