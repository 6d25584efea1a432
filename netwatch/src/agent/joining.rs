//! Joins what a connection is at its client's with what it is at its server's, where its addresses change in between.

use crate::{
    datapath::monotonic_now,
    flow::Tracker,
    identity::{Conntrack, Directory, Proxies, Tracked},
    model::{Feature, FlowKey},
};

/// The feature that is lacking where the kernel does not tell of connections.
const CONNTRACK: &str = "conntrack";

/// Hears of connections, and tells the flows of those that are passed on.
pub(super) struct Joining {
    conntrack: Result<Conntrack, String>,
    proxies: Proxies,
}

impl Joining {
    /// Follows connections, as far as the kernel tells of them.
    pub(super) fn start() -> Self {
        let conntrack = Conntrack::open();
        if let Err(lacking) = &conntrack {
            tracing::warn!(feature = CONNTRACK, "not available: {lacking}");
        }
        Self { conntrack, proxies: Proxies::default() }
    }

    /// Tells the flows of the connections that have come since the last time.
    pub(super) fn read(&mut self, directory: &Directory, tracker: &mut Tracker) {
        let Ok(conntrack) = &mut self.conntrack else { return };
        let (proxies, now) = (&mut self.proxies, monotonic_now());
        conntrack.read(now, |tracked| match tracked {
            Tracked::New(connection) => {
                if let Some(translation) = connection.translation() {
                    tracker.translate(translation);
                    return;
                }
                let (client, server) = connection.original;
                tracker.pass_on_as_is(&FlowKey::new(client, server, connection.protocol));
                if let Some(translation) = proxies.hear(&connection, directory, now) {
                    tracker.translate(translation);
                }
            }
            Tracked::Known(connection) => {
                if let Some(translation) = connection.translation() {
                    tracker.translate(translation);
                }
            }
            Tracked::Lost => proxies.forget(),
        });
    }

    /// Whether connections are heard of, and why not.
    pub(super) fn feature(&self) -> Feature {
        let lacking = match &self.conntrack {
            Ok(conntrack) => conntrack.lacking().map(str::to_owned),
            Err(lacking) => Some(lacking.clone()),
        };
        Feature { name: CONNTRACK, lacking }
    }
}
