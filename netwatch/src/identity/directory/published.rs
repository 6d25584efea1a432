//! Which container a port of the host leads to, by the published ports of those that live. Where two claim the same,
//! neither is told: engines refuse that, so one of them is out of date.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use crate::model::{Behind, Container, Protocol, Socket};

#[derive(Debug, Default)]
pub(super) struct PublishedPorts(HashMap<(Protocol, u16), Vec<(IpAddr, Behind)>>);

impl PublishedPorts {
    pub(super) fn add(&mut self, container: &Container) {
        if container.published.is_empty() {
            return;
        }
        let (name, id): (Arc<str>, Arc<str>) =
            (container.name.as_str().into(), container.id.as_str().into());
        for published in &container.published {
            let behind = Behind {
                name: Arc::clone(&name),
                container_id: Arc::clone(&id),
                port: published.port,
            };
            let claims = self.0.entry((published.protocol, published.host.port)).or_default();
            claims.push((published.host.address, behind));
        }
    }

    pub(super) fn find(&self, host: Socket, protocol: Protocol) -> Option<&Behind> {
        let claims = self.0.get(&(protocol, host.port))?;
        let mut found = claims
            .iter()
            .filter(|(address, _)| takes(*address, host.address))
            .map(|(_, behind)| behind);
        let first = found.next()?;
        found.all(|other| other == first).then_some(first)
    }
}

fn takes(published: IpAddr, address: IpAddr) -> bool {
    published == address || published.is_unspecified() && published.is_ipv4() == address.is_ipv4()
}
