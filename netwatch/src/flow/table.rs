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
    by_key: HashTable<Place>,
    /// Keys come from outside, so they must not be able to collide on purpose.
    hasher: RandomState,
    /// One for each conversation, but for those that [`Table::due`] has given out.
    deadlines: BTreeSet<Due>,
}

/// Where a conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(u32);

impl Place {
    /// Bits of it: four times as many as `--max-flows` can ask for.
    const BITS: u32 = 24;

    #[expect(clippy::cast_possible_truncation, reason = "there are fewer places than that")]
    fn new(at: usize) -> Self {
        debug_assert!(at < 1 << Self::BITS);
        Self(at as u32)
    }

    fn at(self) -> usize {
        self.0 as usize
    }
}

/// A deadline, and whose, in one word: the time in units of about a millisecond, rounded down, then the place. Who is looked
/// at a moment too early is looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due(u64);

impl Due {
    fn new(deadline: Instant, place: Place) -> Self {
        let latest = u64::MAX >> Place::BITS;
        Self(Self::units(deadline).min(latest) << Place::BITS | u64::from(place.0))
    }

    fn units(time: Instant) -> u64 {
        time.0 >> 20
    }

    fn has_come(self, now: Instant) -> bool {
        self.0 >> Place::BITS <= Self::units(now)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the lower bits are the place")]
    fn place(self) -> Place {
        Place(self.0 as u32 & (u32::MAX >> (u32::BITS - Place::BITS)))
    }
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

    pub(super) fn find(&self, key: &FlowKey) -> Option<Place> {
        let is_it =
            |place: &Place| self.get(*place).is_some_and(|conversation| conversation.key == *key);
        self.by_key.find(self.hasher.hash_one(key), is_it).copied()
    }

    pub(super) fn get(&self, place: Place) -> Option<&Conversation> {
        self.conversations.get(place.at())
    }

    pub(super) fn get_mut(&mut self, place: Place) -> Option<&mut Conversation> {
        self.conversations.get_mut(place.at())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Place, &Conversation)> {
        self.conversations.iter().map(|(at, conversation)| (Place::new(at), conversation))
    }

    /// Puts in a conversation whose key no other has. It is due when its deadline says so.
    pub(super) fn insert(&mut self, conversation: Conversation) -> Place {
        let Self { conversations, by_key, hasher, deadlines } = self;
        let (hash, deadline) = (hasher.hash_one(conversation.key), conversation.deadline);
        let place = Place::new(conversations.insert(conversation));
        let hash_at = |place: &Place| {
            conversations
                .get(place.at())
                .map_or(0, |conversation| hasher.hash_one(conversation.key))
        };
        by_key.insert_unique(hash, place, hash_at);
        deadlines.insert(Due::new(deadline, place));
        place
    }

    /// Puts a conversation in the place of one that had the same key.
    pub(super) fn replace(&mut self, place: Place, next: Conversation) -> Option<Conversation> {
        let deadline = next.deadline;
        let before = std::mem::replace(self.get_mut(place)?, next);
        self.deadlines.remove(&Due::new(before.deadline, place));
        self.deadlines.insert(Due::new(deadline, place));
        Some(before)
    }

    pub(super) fn remove(&mut self, place: Place) -> Option<Conversation> {
        let conversation = self.conversations.try_remove(place.at())?;
        let hash = self.hasher.hash_one(conversation.key);
        if let Ok(entry) = self.by_key.find_entry(hash, |known| *known == place) {
            entry.remove();
        }
        self.deadlines.remove(&Due::new(conversation.deadline, place));
        Some(conversation)
    }

    /// From now on a conversation is due at this time.
    pub(super) fn set_deadline(&mut self, place: Place, deadline: Instant) {
        let Some(conversation) = self.get_mut(place) else { return };
        let before = std::mem::replace(&mut conversation.deadline, deadline);
        self.deadlines.remove(&Due::new(before, place));
        self.deadlines.insert(Due::new(deadline, place));
    }

    /// Takes out the deadlines that have come, earliest first. Each of these conversations needs another one.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Place> {
        let mut due = Vec::new();
        while let Some(first) = self.deadlines.first().filter(|first| first.has_come(now)) {
            due.push(first.place());
            self.deadlines.pop_first();
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
        let second = |second| Instant::default().after(Duration::from_secs(second));
        for (seconds, place) in (1..).zip(&places) {
            table.set_deadline(*place, second(seconds));
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
        let mut due = table.due(second(10));
        due.sort_unstable();
        let mut expected = places[..10].to_vec();
        expected.push(again);
        expected.sort_unstable();
        assert_eq!(due, expected);
        assert!(table.due(second(10)).is_empty(), "they have been given out");
    }
}
