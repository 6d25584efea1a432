//! The error for what is not permitted or not supported here: exit code 3, and always with a remedy.

use std::fmt;

/// Why the command cannot be done on this host as it is, and what would change that.
#[derive(Debug)]
pub(crate) struct Refused {
    why: String,
    remedy: String,
}

impl Refused {
    pub(crate) fn new(why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { why: why.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.why, self.remedy)
    }
}

impl std::error::Error for Refused {}
