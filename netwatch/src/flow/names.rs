//! Names of the ends of conversations. Many have the same two, so they share them.

use std::{
    collections::HashSet,
    hash::{Hash, Hasher},
    sync::Arc,
};

use crate::model::{Behind, Instant, Name, Protocol, Seen, Socket};

/// A conversation that asks for its names.
#[derive(Debug)]
pub struct Unnamed<'a> {
    /// Who began.
    pub client: Socket,
    /// The other one.
    pub server: Socket,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Where its packets were seen.
    pub seen: &'a [Seen],
    /// When the first of them passed.
    pub first: Instant,
}

/// The names of both ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Who began.
    pub client: Name,
    /// The other one.
    pub server: Name,
    /// The container that the server's port leads to, where the host has published it.
    pub behind: Option<Behind>,
    /// The network they talk over.
    pub network: Option<Arc<str>>,
}

/// The answer to [`Unnamed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Naming {
    /// These names will not change.
    Final(Names),
    /// The best so far: better ones may come.
    Provisional(Names),
}

impl Hash for Names {
    /// By what tells them apart: a container has much besides its label, and all outside share theirs.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let domain = |name: &Name| match name {
            Name::Domain(domain) => Some(Arc::clone(domain)),
            _ => None,
        };
        (self.client.label(), domain(&self.client)).hash(state);
        (self.server.label(), domain(&self.server)).hash(state);
        self.network.hash(state);
    }
}

/// All names that some conversation has, each once.
#[derive(Debug, Default)]
pub(super) struct NamesInUse(HashSet<Arc<Names>>);

impl NamesInUse {
    /// The one copy of these names.
    pub(super) fn share(&mut self, names: Names) -> Arc<Names> {
        if let Some(known) = self.0.get(&names) {
            return Arc::clone(known);
        }
        if self.0.len() == self.0.capacity() {
            self.0.retain(|names| Arc::strong_count(names) > 1);
        }
        let names = Arc::new(names);
        self.0.insert(Arc::clone(&names));
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(interface: usize) -> Names {
        let client = Name::Interface(format!("veth{interface}"));
        Names { client, server: Name::Host, behind: None, network: None }
    }

    #[test]
    fn equal_names_are_shared_and_those_that_nobody_has_are_dropped() {
        let mut all = NamesInUse::default();
        let kept = all.share(names(0));
        for interface in 1..1000 {
            assert!(!Arc::ptr_eq(&kept, &all.share(names(interface))));
        }
        assert!(Arc::ptr_eq(&kept, &all.share(names(0))));
        assert!(all.0.len() < 10, "{} of 1,000", all.0.len());
    }
    #[test]
    fn names_of_the_outside_do_not_all_collide() {
        let outside = |domain: &str| {
            let server = Name::Domain(domain.into());
            Names { client: Name::Host, server, behind: None, network: None }
        };
        let hasher = std::hash::RandomState::new();
        let hash = |names: &Names| std::hash::BuildHasher::hash_one(&hasher, names);
        assert_eq!(hash(&outside("a.example")), hash(&outside("a.example")));
        assert_ne!(hash(&outside("a.example")), hash(&outside("b.example")));
    }
}
