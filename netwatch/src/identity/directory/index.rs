//! Containers by address, Ethernet address and namespace. Made anew at each change: those are rare, look-ups are not.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use super::{Gone, Live, published::PublishedPorts};
use crate::model::{Container, Instant, Mac, Source};

#[derive(Debug, Default)]
pub(super) struct Index {
    /// Numbers are released when the last link to a namespace goes, so live and gone can share one table.
    pub(super) namespaces: HashMap<i32, Arc<Container>>,
    pub(super) live: Claims,
    pub(super) gone: Claims,
    /// Of those that live: what has gone takes no connections.
    pub(super) published: PublishedPorts,
}

/// Who has an address. Addresses, of both kinds, are given to the next one at once.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// The best claim first.
    addresses: HashMap<IpAddr, Vec<Claim>>,
    pub(super) macs: HashMap<Mac, Arc<Container>>,
}

#[derive(Debug)]
struct Claim {
    container: Arc<Container>,
    since: Instant,
}

impl Index {
    pub(super) fn new<'a>(live: impl Iterator<Item = &'a Live>, gone: &'a [Gone]) -> Self {
        let mut index = Self::default();
        for live in ordered(live) {
            index.live.add(live);
            index.published.add(&live.container);
            index.claim_namespace(live);
        }
        for live in ordered(gone.iter().map(|gone| &gone.live)) {
            index.gone.add(live);
            index.claim_namespace(live);
        }
        index
    }

    /// Whether an Ethernet address is that of a container, one that has gone included.
    pub(super) fn claims(&self, mac: Mac) -> bool {
        self.live.macs.contains_key(&mac) || self.gone.macs.contains_key(&mac)
    }

    fn claim_namespace(&mut self, live: &Live) {
        if let Some(namespace) = live.namespace {
            self.namespaces.entry(namespace).or_insert_with(|| Arc::clone(&live.container));
        }
    }
}

impl Claims {
    fn add(&mut self, live: &Live) {
        for attachment in &live.container.attachments {
            let since = live.stays.since(attachment);
            for address in &attachment.addresses {
                let claim = Claim { container: Arc::clone(&live.container), since };
                self.addresses.entry(*address).or_default().push(claim);
            }
            if let Some(mac) = attachment.mac {
                self.macs.entry(mac).or_insert_with(|| Arc::clone(&live.container));
            }
        }
    }

    /// Who has an address, of those who had come by then.
    pub(super) fn holder(&self, address: IpAddr, at: Instant) -> Option<&Arc<Container>> {
        let claims = self.addresses.get(&address)?;
        claims.iter().find(|claim| claim.since <= at).map(|claim| &claim.container)
    }
}

/// Who comes first keeps the place: the namespace's owner before those who share it, the engine's before `ip netns`'s,
/// the later before the earlier. A container in the host's namespace claims nothing: its traffic is the host's.
fn ordered<'a>(containers: impl Iterator<Item = &'a Live>) -> Vec<&'a Live> {
    let mut ordered: Vec<_> = containers.filter(|live| !live.container.host_network).collect();
    ordered.sort_by_key(|live| {
        let container = &live.container;
        (container.shares_with.is_some(), container.source != Source::Engine, u64::MAX - live.order)
    });
    ordered
}
