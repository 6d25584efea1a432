//! When a container came into its networks: nothing that passed before was for it, whoever has the address when it is named.

use crate::model::{Attachment, Instant};

/// One container's, by what the engine calls the network.
#[derive(Clone, Debug, Default)]
pub(super) struct Arrivals(Vec<(String, Instant)>);

impl Arrivals {
    /// It came into a network.
    pub(super) fn came(&mut self, network: &str, at: Instant) {
        self.left(network);
        self.0.push((network.to_owned(), at));
    }

    /// It left one.
    pub(super) fn left(&mut self, network: &str) {
        self.0.retain(|(known, _)| known != network);
    }

    /// Since when it has its addresses there. Where nobody told, it always had.
    pub(super) fn since(&self, attachment: &Attachment) -> Instant {
        let is_its = |(network, _): &&(String, Instant)| {
            *network == attachment.network_id || *network == attachment.network
        };
        self.0.iter().find(is_its).map_or(Instant(0), |(_, at)| *at)
    }
}
