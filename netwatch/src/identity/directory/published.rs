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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::testbed, *};
    use crate::model::PublishedPort;

    /// Few values, so that claims meet.
    fn claim() -> impl Strategy<Value = (usize, PublishedPort)> {
        let address = prop::sample::select(vec!["0.0.0.0", "::", "192.0.2.10", "2001:db8::1"]);
        let protocol = prop::sample::select(vec![Protocol::TCP, Protocol::UDP]);
        (0..3_usize, address, 1..3_u16, 80..82_u16, protocol).prop_map(
            |(who, address, host, port, protocol)| {
                let host = Socket { address: testbed::ip(address), port: host };
                (who, PublishedPort { host, port, protocol })
            },
        )
    }

    fn table<'a>(claims: impl Iterator<Item = &'a (usize, PublishedPort)>) -> PublishedPorts {
        let mut table = PublishedPorts::default();
        for (who, published) in claims {
            let container = testbed::container(&format!("c{who}"), 1, "172.17.0.2", 2);
            table.add(&Container { published: vec![*published], ..container });
        }
        table
    }

    proptest! {
        #[test]
        fn the_answer_is_the_only_claim_in_whatever_order(
            claims in prop::collection::vec(claim(), 0..6),
            asked in prop::sample::select(vec!["192.0.2.10", "192.0.2.11", "2001:db8::1", "2001:db8::2"]),
        ) {
            let host = Socket { address: testbed::ip(asked), port: 1 };
            let all = if asked.contains(':') { "::" } else { "0.0.0.0" };
            let mut wanted: Vec<_> = claims
                .iter()
                .filter(|(_, one)| one.protocol == Protocol::TCP && one.host.port == 1)
                .filter(|(_, one)| [asked, all].map(testbed::ip).contains(&one.host.address))
                .map(|(who, one)| (format!("c{who}"), one.port))
                .collect();
            wanted.sort();
            wanted.dedup();
            let only = (wanted.len() == 1).then(|| wanted[0].clone());
            for table in [table(claims.iter()), table(claims.iter().rev())] {
                let found = table.find(host, Protocol::TCP);
                prop_assert_eq!(found.map(|one| (one.name.to_string(), one.port)), only.clone());
            }
        }
    }
}
