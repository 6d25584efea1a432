//! What was found.

use super::{Case, Check};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be, or as somebody has chosen it.
    Ok,
    /// netwatch works, with less than it could do.
    Degraded,
    /// netwatch cannot work.
    Failed,
}

impl Verdict {
    /// The word in text and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
        }
    }
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which of the results that there are.
    pub case: Case,
    /// What was found here.
    pub message: String,
    /// What to do about it here.
    pub remedy: Option<String>,
    /// Each by itself: interfaces, programs, features.
    pub details: Vec<String>,
}

impl Finding {
    pub(super) fn new(case: Case, message: impl Into<String>) -> Self {
        Self { case, message: message.into(), remedy: None, details: Vec::new() }
    }

    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    pub(super) fn details(mut self, details: Vec<String>) -> Self {
        self.details = details;
        self
    }

    /// What was checked.
    pub fn check(&self) -> Check {
        self.case.check()
    }

    /// How bad it is.
    pub fn verdict(&self) -> Verdict {
        self.case.verdict()
    }
}

/// The results of all checks, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// One for each check.
    pub findings: Vec<Finding>,
}

impl Report {
    /// That of the worst finding.
    pub fn verdict(&self) -> Verdict {
        self.findings.iter().map(Finding::verdict).max().unwrap_or(Verdict::Ok)
    }

    /// The checks with this verdict.
    pub fn checks(&self, verdict: Verdict) -> Vec<&'static str> {
        let with = self.findings.iter().filter(|finding| finding.verdict() == verdict);
        with.map(|finding| finding.check().name()).collect()
    }
}
