//! Whether netwatch can work on this host, what is missing, and what to do about it.
//!
//! [`look`] collects facts and judges nothing; [`judge`] makes findings of facts and looks at nothing, so that broken
//! hosts can be pretended. Each finding is one of the [`Case`]s of a table, from which docs/doctor.md is made. What
//! `netwatch run` says at its start when the same thing is missing comes from the same errors.

mod advice;
mod case;
mod distribution;
pub mod docs;
mod facts;
mod judge;
mod look;
mod report;
mod scrape;
#[cfg(test)]
mod tests;

pub use case::{Case, Check};
pub use report::{Finding, Report, Verdict};

use crate::agent::config::Config;

/// Looks at this host as an agent with this configuration would find it. Nothing is attached or changed.
pub async fn examine(config: &Config) -> Report {
    judge::judge(&look::look(config).await)
}
