//! Conversations by key, and when each is to be looked at next.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher, RandomState},
};

use hashbrown::HashTable;
use slab::Slab;

use super::conversation::Conversation;
use crate::model::{FlowKey, Instant};

/// All conversations. Each has a place, which is another's once it is gone.
///
/// The key stands in the conversation only: what finds it by key holds nothing but places.
#[derive(Debug)]
pub(super) struct Table {
    conversations: Slab<Conversation>,
    by_key: HashTable<usize>,
    /// Keys come from outside, so they must not be able to collide on purpose.
    hasher: RandomState,
    /// One for each conversation, but for those that [`Table::due`] has given out.
    deadlines: BTreeSet<(Instant, usize)>,
}

impl Table {
    /// Sets the room aside for so many: it costs no memory until it is used, while outgrown room stays with the
    /// allocator.
    pub(super) fn with_capacity(most: usize) -> Self {
        Self {
            conversations: Slab::with_capacity(most),
            by_key: HashTable::new(),
            hasher: RandomState::new(),
            deadlines: BTreeSet::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.conversations.len()
    }

    pub(super) fn find(&self, key: &FlowKey) -> Option<usize> {
        let is_it = |place: &usize| {
            self.conversations.get(*place).is_some_and(|conversation| conversation.key == *key)
        };
        self.by_key.find(self.hasher.hash_one(key), is_it).copied()
    }

    pub(super) fn get(&self, place: usize) -> Option<&Conversation> {
        self.conversations.get(place)
    }

    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut Conversation> {
        self.conversations.get_mut(place)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Conversation)> {
        self.conversations.iter()
    }

    /// Puts in a conversation whose key no other has. It is due when its deadline says so.
    pub(super) fn insert(&mut self, conversation: Conversation) -> usize {
        let Self { conversations, by_key, hasher, deadlines } = self;
        let (hash, deadline) = (hasher.hash_one(conversation.key), conversation.deadline);
        let place = conversations.insert(conversation);
        let hash_at = |place: &usize| {
            conversations.get(*place).map_or(0, |conversation| hasher.hash_one(conversation.key))
        };
        by_key.insert_unique(hash, place, hash_at);
        deadlines.insert((deadline, place));
        place
    }

    /// Puts a conversation in the place of one that had the same key.
    pub(super) fn replace(&mut self, place: usize, next: Conversation) -> Option<Conversation> {
        let deadline = next.deadline;
        let before = std::mem::replace(self.conversations.get_mut(place)?, next);
        self.deadlines.remove(&(before.deadline, place));
        self.deadlines.insert((deadline, place));
        Some(before)
    }

    pub(super) fn remove(&mut self, place: usize) -> Option<Conversation> {
        let conversation = self.conversations.try_remove(place)?;
        let hash = self.hasher.hash_one(conversation.key);
        if let Ok(entry) = self.by_key.find_entry(hash, |known| *known == place) {
            entry.remove();
        }
        self.deadlines.remove(&(conversation.deadline, place));
        Some(conversation)
    }

    /// From now on a conversation is due at this time.
    pub(super) fn set_deadline(&mut self, place: usize, deadline: Instant) {
        let Some(conversation) = self.conversations.get_mut(place) else { return };
        let before = std::mem::replace(&mut conversation.deadline, deadline);
        self.deadlines.remove(&(before, place));
        self.deadlines.insert((deadline, place));
    }

    /// Takes out the deadlines that have come, earliest first. Each of these conversations needs another one.
    pub(super) fn due(&mut self, now: Instant) -> Vec<usize> {
        let mut due = Vec::new();
        while let Some(&(deadline, place)) = self.deadlines.first() {
            if deadline > now {
                break;
            }
            self.deadlines.pop_first();
            due.push(place);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Echoes, Observation, Protocol, SideReading, Socket};

    fn conversation(port: u16) -> Conversation {
        let end = |host| Socket { address: [172, 17, 0, host].into(), port };
        let (local, remote, protocol) = (end(2), end(3), Protocol::UDP);
        let side = SideReading::default();
        let observation = Observation {
            ifindex: 4,
            local,
            remote,
            protocol,
            is_inner: false,
            ingress: side,
            egress: side,
            fresh: true,
            acknowledged: None,
            echoes: Echoes::default(),
            error: None,
            source_mac: None,
        };
        Conversation::new(u64::from(port), FlowKey::new(local, remote, protocol), &observation)
    }

    #[test]
    fn each_conversation_is_found_and_due_once_whatever_became_of_its_place() {
        let mut table = Table::with_capacity(1);
        let places: Vec<_> = (1..=100).map(|port| table.insert(conversation(port))).collect();
        for (second, place) in (1..).zip(&places) {
            table.set_deadline(*place, Instant(second));
        }
        table.replace(places[0], conversation(1));
        for place in &places[10..20] {
            table.remove(*place);
        }
        let again = table.insert(conversation(200));
        assert!(places[10..20].contains(&again), "a free place is used");
        assert_eq!((table.len(), table.deadlines.len(), table.by_key.len()), (91, 91, 91));
        assert_eq!(table.find(&conversation(200).key), Some(again));
        assert_eq!(table.find(&conversation(11).key), None);
        let mut due = table.due(Instant(10));
        due.sort_unstable();
        let mut expected = places[..10].to_vec();
        expected.push(again);
        expected.sort_unstable();
        assert_eq!(due, expected);
        assert!(table.due(Instant(10)).is_empty(), "they have been given out");
    }
}
