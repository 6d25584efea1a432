//! What could not be read, for the end.

use std::path::Path;

use super::super::super::{Exit, Failure, terminal};

/// So many are told one by one.
const TOLD: usize = 10;

#[derive(Default)]
pub(super) struct Damage {
    count: u64,
    first: Vec<String>,
}

impl Damage {
    pub(super) fn note(&mut self, file: &Path, line: Option<u64>, what: &str) {
        self.count += 1;
        if self.first.len() < TOLD {
            let file = if file.as_os_str() == "-" {
                "standard input".to_owned()
            } else {
                file.display().to_string()
            };
            let place = line.map_or_else(|| file.clone(), |number| format!("{file}:{number}"));
            self.first.push(format!("{place}: {what}"));
        }
    }

    /// Tells of it, and that not everything was done.
    pub(super) fn report(self) -> Result<(), Failure> {
        if self.count == 0 {
            return Ok(());
        }
        for one in &self.first {
            terminal::note(one);
        }
        let (count, lines) = (self.count, if self.count == 1 { "line" } else { "lines" });
        Err(Failure::new(Exit::Partly, format!("{count} {lines} could not be read"))
            .hint("--file is for flow logs in JSON: 'netwatch run --flow-format json'"))
    }
}
