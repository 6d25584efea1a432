//! Look-ups of names: who asks whom, and why a name is not found.

use std::{collections::HashSet, sync::Arc};

use super::{
    flow_log::{FlowLog, Line},
    times::Timing,
};
use crate::{
    dns::{Asked, Heard, Lookups, Vantage},
    identity::Directory,
    model::{Clock, Container, Endpoint, Hint, Instant, Lookup, Socket},
};

/// Docker's default network.
const DEFAULT_BRIDGE: &str = "bridge";
/// Hints that are remembered as given. When there are more, all are forgotten, and given again.
const MOST_HINTS: usize = 4096;

/// Look-ups that are going on, and what has been said of them.
#[derive(Default)]
pub(super) struct Asking {
    lookups: Lookups,
    /// Whom a hint has been given about which container: once each, or it would be in every line of a retry.
    hinted: HashSet<(String, String)>,
}

impl Asking {
    /// Tells of the look-ups that these messages end, and of those that have waited for too long.
    pub(super) fn tell(
        &mut self,
        heard: &[Heard],
        now: Instant,
        directory: &Directory,
        timing: &mut Timing,
        flow_log: &mut FlowLog,
        clock: Clock,
    ) {
        let answered: Vec<Asked> =
            heard.iter().filter_map(|heard| self.lookups.hear(heard)).collect();
        for asked in answered.into_iter().chain(self.lookups.give_up(now)) {
            let lookup = self.name(asked, directory);
            timing.looked_up(&lookup);
            flow_log.write(Line::Lookup(Box::new(lookup)), clock);
        }
    }

    fn name(&mut self, asked: Asked, directory: &Directory) -> Lookup {
        let behind = (asked.vantage == Vantage::Client).then_some(asked.ifindex);
        let end = |socket: Socket, behind| Endpoint {
            socket,
            name: directory.name(socket.address, behind).into_name(),
        };
        let client = end(asked.exchange.client, behind);
        let network = directory.network_of_interface(asked.ifindex);
        let hint = client
            .container()
            .and_then(|container| self.hint(&asked, container, network.as_deref(), directory));
        Lookup {
            time: asked.time,
            protocol: asked.exchange.protocol,
            client,
            server: end(asked.exchange.server, None),
            network,
            question: asked.question,
            answer: asked.answer,
            took: asked.took,
            queries: asked.queries,
            hint,
        }
    }

    /// Why a container does not find a name.
    fn hint(
        &mut self,
        asked: &Asked,
        client: &Arc<Container>,
        network: Option<&str>,
        directory: &Directory,
    ) -> Option<Hint> {
        let is_found = asked.answer.as_ref().is_some_and(|answer| answer.rcode == "NOERROR");
        if is_found || network != Some(DEFAULT_BRIDGE) {
            return None;
        }
        // Resolvers append the host's search domains to it.
        let name = asked.question.as_ref()?.name.split('.').next()?;
        if !directory.containers().any(|container| container.name == name) {
            return None;
        }
        if self.hinted.len() >= MOST_HINTS {
            self.hinted.clear();
        }
        self.hinted.insert((client.id.clone(), name.to_owned())).then_some(Hint::DefaultBridge)
    }
}
