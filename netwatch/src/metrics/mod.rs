//! What Prometheus scrapes, built from one [`Snapshot`] at each call, so that all figures of a scrape agree.
//!
//! Promises: every name, type, help text and label comes from the [`catalogue`], as [`LabelChoice`] has it; no two series of a scrape have the same
//! labels (what would collide is added up); label values that containers chose cannot break the format. Keeps no
//! state: what is not in the snapshot is not in the scrape.

mod agent;
pub mod catalogue;
mod choice;
pub mod docs;
mod family;
#[cfg(test)]
mod fixture;
mod openmetrics;
mod packets;
#[cfg(test)]
mod tests;
mod text;
mod traffic;

use crate::model::Snapshot;
use family::{Families, Family};

pub use choice::{ContainerLabel, LabelChoice};
pub use text::RenderError;

/// A format of the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// `text/plain; version=0.0.4`.
    #[default]
    Text,
    /// `application/openmetrics-text; version=1.0.0`.
    OpenMetrics,
}

/// The snapshot as metric families, in the order of the catalogue; families without series are left out.
fn gather(snapshot: &Snapshot, choice: &LabelChoice) -> Vec<Family> {
    let mut families = Families::new(choice, &snapshot.labelled);
    traffic::collect(snapshot, &mut families);
    packets::collect(snapshot, &mut families);
    agent::collect(snapshot, &mut families);
    families.into_families()
}

/// The snapshot as the text of a scrape.
pub fn render(
    snapshot: &Snapshot,
    form: Form,
    choice: &LabelChoice,
) -> Result<String, RenderError> {
    let families = gather(snapshot, choice);
    match form {
        Form::Text => text::text(families),
        Form::OpenMetrics => Ok(openmetrics::text(&families)),
    }
}
