//! What the guest says, one line each on the console, where `cargo xtask kernels` reads it:
//!
//! ```text
//! netwatch-guest: has NAME VALUE        what this kernel offers; no judgement
//! netwatch-guest: ok NAME DETAIL
//! netwatch-guest: FAILED NAME WHY
//! netwatch-guest: done PASSED FAILED    the last line; without it the guest died
//! ```
//!
//! A name has no blanks. Of a detail, what stands before `;` goes into the table of docs/kernels.md: the rest may differ
//! from run to run.

use std::{
    fmt::Display,
    io::Write as _,
    panic::{AssertUnwindSafe, catch_unwind},
};

use anyhow::{Result, anyhow};

const PREFIX: &str = "netwatch-guest:";

/// Counts what it says.
#[derive(Default)]
pub struct Report {
    passed: u32,
    failed: Vec<String>,
}

impl Report {
    /// Something that this kernel has, and how much of it.
    #[expect(clippy::unused_self, reason = "all lines come from the report")]
    pub fn has(&self, name: &str, value: impl Display) {
        line(&format!("has {name} {value}"));
    }

    /// Runs a check, which answers with a detail; a panic in it is a failure like any other. Answers whether it passed.
    pub fn check(&mut self, name: &str, check: impl FnOnce() -> Result<String>) -> bool {
        let outcome = catch_unwind(AssertUnwindSafe(check))
            .unwrap_or_else(|_| Err(anyhow!("it panicked, see above")));
        match &outcome {
            Ok(detail) => {
                self.passed += 1;
                line(&format!("ok {name} {detail}"));
            }
            Err(error) => self.failed(name, error),
        }
        outcome.is_ok()
    }

    /// Something went wrong. All of it is told, the verifier's log too; the line itself is the first of it.
    pub fn failed(&mut self, name: &str, error: &anyhow::Error) {
        self.failed.push(name.into());
        line(&format!("FAILED {name} {error:#}"));
    }

    /// Whether something of that name, or whose name begins so, has failed.
    pub fn has_failed(&self, name: &str) -> bool {
        self.failed.iter().any(|failed| failed.starts_with(name))
    }

    /// The last line.
    pub fn finish(&self) {
        line(&format!("done {} {}", self.passed, self.failed.len()));
    }
}

fn line(text: &str) {
    let mut console = std::io::stdout().lock();
    // There is nobody left to tell where the console does not take it: xtask will miss the last line.
    let _ = writeln!(console, "{PREFIX} {}", text.trim_end());
    let _ = console.flush();
}
