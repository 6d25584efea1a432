//! Joins what a connection is at its client's with what it is at its server's, where its addresses change in between.

use std::collections::HashSet;

use super::core::ANSWERING_SHARE;
use crate::{
    datapath::monotonic_now,
    flow::Tracker,
    identity::{Conntrack, Directory, Proxies, Tracked, connections_to},
    model::{Feature, FlowKey, Instant, Socket},
};

/// The feature that is lacking where the kernel does not tell of connections.
const CONNTRACK: &str = "conntrack";

/// Hears of connections, and tells the flows of those that are passed on.
pub(super) struct Joining {
    conntrack: Result<Conntrack, String>,
    proxies: Proxies,
    overruns: u64,
    /// Not before this time are the host's sockets looked through again: where there are many, that takes long.
    next_look_up: Instant,
}

impl Joining {
    /// Follows connections, as far as the kernel tells of them.
    pub(super) fn start() -> Self {
        let conntrack = Conntrack::open();
        if let Err(lacking) = &conntrack {
            tracing::warn!(feature = CONNTRACK, "not available: {lacking}");
        }
        Self {
            conntrack,
            proxies: Proxies::default(),
            overruns: 0,
            next_look_up: Instant::default(),
        }
    }

    /// Tells the flows of the connections that have come since the last time.
    pub(super) fn read(&mut self, directory: &Directory, tracker: &mut Tracker) {
        let Ok(conntrack) = &mut self.conntrack else { return };
        let (proxies, overruns, now) = (&mut self.proxies, &mut self.overruns, monotonic_now());
        let next = &mut self.next_look_up;
        conntrack.read(now, |tracked| match tracked {
            Tracked::New(connection) => {
                if let Some(translation) = connection.translation() {
                    tracker.translate(translation);
                    return;
                }
                let (client, server) = connection.original;
                tracker.pass_on_as_is(&FlowKey::new(client, server, connection.protocol));
                if let Some(translation) =
                    proxies.hear(&connection, directory, now, |port| paced(next, port))
                {
                    tracker.translate(translation);
                }
            }
            Tracked::Known(connection) => {
                if let Some(translation) = connection.translation() {
                    tracker.translate(translation);
                }
            }
            Tracked::Lost => {
                *overruns += 1;
                proxies.forget();
            }
        });
    }

    /// Times that some were missed.
    pub(super) fn overruns(&self) -> u64 {
        self.overruns
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

/// Those with a port, unless it would take more than its share of a CPU.
fn paced(next: &mut Instant, port: u16) -> Option<HashSet<(Socket, Socket)>> {
    let begin = monotonic_now();
    if begin < *next {
        return None;
    }
    let found = calls(port);
    *next = begin.after(monotonic_now().since(begin) * ANSWERING_SHARE);
    Some(found)
}

/// Connections with a port of the host that conntrack does not tell of.
fn calls(port: u16) -> HashSet<(Socket, Socket)> {
    connections_to(port).unwrap_or_else(|error| {
        tracing::debug!(port, %error, "the host's sockets cannot be listed");
        HashSet::new()
    })
}
