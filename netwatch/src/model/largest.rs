//! Which of more keys than there is room for have figures of their own: the first that come, and then the largest.

use std::{collections::HashMap, hash::Hash, time::Duration};

use super::Instant;

/// Who has given its place to a larger one has none for so long: then its series have been gone from Prometheus for long
/// enough to begin anew, and until then none of them decreases.
const FOLDED: Duration = Duration::from_mins(15);
/// So many are remembered as folded. As long as there are as many, nobody changes places.
const MOST_FOLDED: usize = 65_536;
/// Keys without a place are counted at least so well that none is missed that has this share of what all of them have.
const LEAST_CROWD: usize = 64;
/// How much larger than one that has a place another one has to be to get it: places do not change to and fro.
const LARGER: u64 = 2;

/// The places, and the keys that have none.
#[derive(Debug)]
pub struct Largest<K> {
    places: usize,
    /// What keys without a place have counted, at least: frequent items as by Misra and Gries (1982).
    crowd: HashMap<K, u64>,
    folded: HashMap<K, Instant>,
}

/// Who gives up a place, and who gets one.
#[derive(Debug, PartialEq, Eq)]
pub struct Change<K> {
    /// It is folded from now on, with all that it has counted.
    pub out: Vec<K>,
    /// What these count from now on is theirs.
    pub into: Vec<K>,
}

impl<K: Clone + Eq + Hash + Ord> Largest<K> {
    /// With so many places.
    pub fn new(places: usize) -> Self {
        Self { places, crowd: HashMap::new(), folded: HashMap::new() }
    }

    /// Whether a key that has no place gets one, where so many are taken.
    pub fn admits(&mut self, key: &K, taken: usize) -> bool {
        let admits = taken < self.places && !self.folded.contains_key(key);
        if admits {
            self.crowd.remove(key);
        }
        admits
    }

    /// A key without a place has counted so much more.
    pub fn pass_over(&mut self, key: &K, bytes: u64) {
        if bytes == 0 || self.folded.contains_key(key) {
            return;
        }
        match self.crowd.get_mut(key) {
            Some(known) => *known = known.saturating_add(bytes),
            None => drop(self.crowd.insert(key.clone(), bytes)),
        }
        let room = self.places.max(LEAST_CROWD);
        if self.crowd.len() > 2 * room {
            let mut all: Vec<u64> = self.crowd.values().copied().collect();
            let (_, middle, _) = all.select_nth_unstable(room);
            let middle = *middle;
            self.crowd.retain(|_, known| {
                *known = known.saturating_sub(middle);
                *known > 0
            });
        }
    }

    /// Whether somebody waits for a place.
    pub fn is_crowded(&self) -> bool {
        !self.crowd.is_empty()
    }

    /// Who changes places, now and then. `own`: those that have a place and can give it up, with what they have counted.
    pub fn change(&mut self, now: Instant, own: impl Iterator<Item = (K, u64)>) -> Change<K> {
        self.folded.retain(|_, since| now.since(*since) < FOLDED);
        let mut own: Vec<_> = own.map(|(key, bytes)| (bytes, key)).collect();
        let mut crowd: Vec<_> = self.crowd.iter().map(|(key, bytes)| (*bytes, key)).collect();
        own.sort_unstable();
        crowd.sort_unstable_by(|one, other| other.cmp(one));
        let room = MOST_FOLDED.saturating_sub(self.folded.len());
        let is_larger =
            |((own, _), (other, _)): &(&(u64, K), &(u64, &K))| *other > own.saturating_mul(LARGER);
        let pairs = own.iter().zip(&crowd).take(room).take_while(is_larger);
        let (out, into): (Vec<K>, Vec<K>) =
            pairs.map(|((_, out), (_, into))| (out.clone(), (*into).clone())).unzip();
        self.folded.extend(out.iter().map(|key| (key.clone(), now)));
        for key in &into {
            self.crowd.remove(key);
        }
        Change { out, into }
    }

    /// These are not there any more.
    pub fn forget(&mut self, is_gone: impl Fn(&K) -> bool) {
        self.crowd.retain(|key, _| !is_gone(key));
        self.folded.retain(|key, _| !is_gone(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: u64) -> Instant {
        Instant(0).after(Duration::from_mins(minutes))
    }

    #[test]
    fn the_first_get_places_and_then_the_largest() {
        let mut largest = Largest::new(2);
        assert!(largest.admits(&"a", 0) && largest.admits(&"b", 1) && !largest.admits(&"c", 2));
        assert!(!largest.is_crowded());
        largest.pass_over(&"c", 150);
        largest.pass_over(&"c", 70);
        largest.pass_over(&"d", 5);
        let own = || [("a", 1_000), ("b", 100)].into_iter();
        assert_eq!(largest.change(at(0), own()), Change { out: vec!["b"], into: vec!["c"] });
        largest.pass_over(&"b", 10_000);
        let own = || [("a", 1_000), ("c", 1)].into_iter();
        let change = largest.change(at(14), own());
        assert_eq!(change, Change { out: vec!["c"], into: vec!["d"] }, "b waits");
        assert!(!largest.admits(&"b", 1));
        assert!(largest.change(at(15), [("a", 1_000), ("d", 1)].into_iter()).out.is_empty());
        assert!(largest.admits(&"b", 1), "a quarter of an hour later");
    }

    #[test]
    fn who_is_not_much_larger_waits() {
        let mut largest = Largest::new(1);
        largest.pass_over(&"b", 200);
        assert!(largest.change(at(0), [("a", 100)].into_iter()).into.is_empty());
        largest.pass_over(&"b", 1);
        assert_eq!(largest.change(at(0), [("a", 100)].into_iter()).into, ["b"]);
    }

    #[test]
    fn a_large_one_is_found_in_any_crowd_and_the_crowd_is_bounded() {
        let mut largest = Largest::new(10);
        let mut all = 0;
        for number in 0..100_000_u32 {
            largest.pass_over(&number, 60);
            all += 60;
            if number % 20 == 0 {
                largest.pass_over(&u32::MAX, 90);
                all += 90;
            }
        }
        assert!(largest.crowd.len() <= 2 * LEAST_CROWD);
        let found = largest.crowd[&u32::MAX];
        assert!(found <= 450_000 && found >= 450_000 - all / LEAST_CROWD as u64, "{found}");
        let change = largest.change(at(0), (200_000..200_010).map(|number| (number, 60)));
        assert_eq!(change.into[0], u32::MAX);
        assert!(!largest.admits(&200_000, 9), "it was folded just now");
        largest.forget(|key| *key == 200_000);
        assert!(largest.admits(&200_000, 9));
    }
}
