//! What Prometheus scrapes, built from one [`Snapshot`] at each call, so that all figures of a scrape agree.
//!
//! Promises: every name, type, help text and label comes from the [`catalogue`]; no two series of a scrape have the same
//! labels (what would collide is added up); label values that containers chose cannot break the format. Keeps no
//! state: what is not in the snapshot is not in the scrape.

mod agent;
pub mod catalogue;
pub mod docs;
mod family;
#[cfg(test)]
mod fixture;
mod packets;
#[cfg(test)]
mod tests;
mod traffic;

use prometheus::{TextEncoder, proto::MetricFamily};

use crate::model::Snapshot;
use family::Families;

/// The encoder refused a family: a defect of netwatch, not of the host.
#[derive(Debug, thiserror::Error)]
#[error("cannot encode the metrics: {0}")]
pub struct RenderError(#[from] prometheus::Error);

/// The snapshot as metric families, in the order of the catalogue; families without series are left out.
pub fn gather(snapshot: &Snapshot) -> Vec<MetricFamily> {
    let mut families = Families::new();
    traffic::collect(snapshot, &mut families);
    packets::collect(snapshot, &mut families);
    agent::collect(snapshot, &mut families);
    families.into_families()
}

/// The snapshot in the Prometheus text format 0.0.4.
pub fn render(snapshot: &Snapshot) -> Result<String, RenderError> {
    Ok(TextEncoder::new().encode_to_string(&gather(snapshot))?)
}
