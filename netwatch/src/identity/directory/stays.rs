//! When a container came into its networks: nothing that passed before was for it, whoever has the address when it is named.

use crate::model::{Attachment, Instant};

/// One container's, by what the engine calls the network.
#[derive(Clone, Debug, Default)]
pub(super) struct Stays(Vec<(String, Instant)>);

impl Stays {
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

#[cfg(test)]
mod tests {
    use super::super::{testbed::*, *};
    use crate::identity::What;

    #[test]
    fn what_was_sent_before_somebody_came_was_for_another() {
        let mut directory = docker_host();
        let came = What::Connected("bridge".to_owned());
        let then = |directory: &Directory, at_second| {
            let name = directory.name_then(ip("172.17.0.2"), None, at(at_second)).into_name();
            if let Name::Container(container) = name {
                container.name.clone()
            } else {
                String::new()
            }
        };
        for (index, name, from, until) in [(7, "web", 10, 20), (9, "api", 30, 40)] {
            directory.happened(&format!("id-of-{name}"), &came, at(from));
            let namespace = i32::try_from(index).unwrap();
            start(&mut directory, index, namespace, container(name, 70, "172.17.0.2", 2), from + 1);
            let lives = [5, 10, 15, 29, 30, 35].map(|second| then(&directory, second));
            match name {
                "web" => assert_eq!(lives, ["", "web", "web", "web", "web", "web"]),
                _ => assert_eq!(lives, ["", "web", "web", "web", "api", "api"]),
            }
            stop(&mut directory, index, name, until);
        }
        // Of two that have gone the later one, but not before it came.
        assert_eq!([15, 35].map(|second| then(&directory, second)), ["web", "api"]);
        // Where nobody says when it came it always had the address.
        start(&mut directory, 11, 11, container("cli", 110, "172.17.0.2", 2), 50);
        assert_eq!(then(&directory, 5), "cli");
        assert!(directory.stays.is_empty(), "{:?}", directory.stays);
    }
}
