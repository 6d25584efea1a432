//! Places for connections, as many as may be: one that comes when all are taken gets that of the one that has been idle
//! longest, of those from where most are. So whoever connects keeps nobody out, however often and whatever it says.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::Notify, time::timeout};

use super::source::Source;

/// A request that takes longer has to give way too: its client does not read the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether one has taken that long.
const LOOK: Duration = Duration::from_millis(500);

/// The places of a listener.
pub(super) struct Slots {
    most: usize,
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Default)]
struct Taken {
    last: u64,
    held: BTreeMap<u64, Held>,
}

struct Held {
    source: Source,
    busy: bool,
    since: Instant,
    /// Told to go.
    going: bool,
    go: Arc<Notify>,
}

impl Slots {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, taken: Mutex::default(), freed: Notify::new() })
    }

    /// A place; whoever has to make room for it is told so. One waits here at a time.
    pub(super) async fn enter(self: &Arc<Self>, source: Source) -> Slot {
        loop {
            if let Some(slot) = self.try_enter(source) {
                return slot;
            }
            let _ = timeout(LOOK, self.freed.notified()).await;
        }
    }

    fn try_enter(self: &Arc<Self>, source: Source) -> Option<Slot> {
        let mut taken = self.lock();
        if taken.held.len() < self.most {
            taken.last += 1;
            let (id, go) = (taken.last, Arc::new(Notify::new()));
            let (since, told) = (Instant::now(), Arc::clone(&go));
            taken.held.insert(id, Held { source, busy: false, since, going: false, go: told });
            return Some(Slot { slots: Arc::clone(self), id, go });
        }
        if taken.held.values().any(|held| held.going) {
            return None;
        }
        let mut places = HashMap::<Source, usize>::new();
        for held in taken.held.values() {
            *places.entry(held.source).or_default() += 1;
        }
        let own = places.get(&source).copied().unwrap_or_default();
        let places = |held: &Held| places.get(&held.source).copied().unwrap_or_default();
        // Nobody takes from who has less.
        let may_go = |held: &&mut Held| {
            places(held) >= own && (!held.busy || held.since.elapsed() > PATIENCE)
        };
        let of_most = taken
            .held
            .values_mut()
            .filter(may_go)
            .min_by_key(|held| (Reverse(places(held)), held.busy, held.since));
        if let Some(held) = of_most {
            held.going = true;
            held.go.notify_one();
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a connection, until it is dropped.
pub(super) struct Slot {
    slots: Arc<Slots>,
    id: u64,
    go: Arc<Notify>,
}

impl Slot {
    /// Returns when another connection needs the place.
    pub(super) async fn displaced(&self) {
        self.go.notified().await;
    }

    /// A request has come, and is being answered until the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.set(true);
        Busy(Arc::clone(self))
    }

    fn set(&self, busy: bool) {
        if let Some(held) = self.slots.lock().held.get_mut(&self.id) {
            (held.busy, held.since) = (busy, Instant::now());
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.lock().held.remove(&self.id);
        self.slots.freed.notify_one();
    }
}

/// A request that is being answered.
pub(super) struct Busy(Arc<Slot>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn from(last: u8) -> Source {
        Source::from(std::net::IpAddr::from([192, 0, 2, last]))
    }

    fn is_told(slot: &Slot) -> bool {
        slot.displaced().now_or_never().is_some()
    }

    #[tokio::test]
    async fn the_one_that_is_idle_longest_gives_way() {
        let slots = Slots::new(3);
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(Arc::new(slots.enter(from(1)).await));
        }
        // The first is at work, the second has been and is the latest to be idle.
        let _busy = held[0].begin();
        drop(held[1].begin());
        assert!(slots.enter(from(1)).now_or_never().is_none());
        assert_eq!(held.iter().map(|slot| is_told(slot)).collect::<Vec<_>>(), [false, false, true]);
        // Nobody else is told while it has not gone.
        assert!(slots.enter(from(1)).now_or_never().is_none());
        assert!(!is_told(&held[1]));
        held.pop();
        assert!(slots.enter(from(1)).now_or_never().is_some());
    }

    #[tokio::test]
    async fn nobody_who_is_being_answered_gives_way() {
        let slots = Slots::new(1);
        let slot = Arc::new(slots.enter(from(1)).await);
        let busy = slot.begin();
        assert!(slots.enter(from(1)).now_or_never().is_none());
        assert!(!is_told(&slot));
        slots.lock().held.values_mut().for_each(|held| {
            held.since = Instant::now().checked_sub(PATIENCE * 2).expect("an earlier time");
        });
        assert!(slots.enter(from(1)).now_or_never().is_none());
        assert!(is_told(&slot), "unless it takes for ever");
        drop((busy, slot));
        assert!(slots.enter(from(1)).now_or_never().is_some());
    }

    /// However busy its connections look, whoever holds most places gives one.
    #[tokio::test]
    async fn the_source_with_most_places_gives_way() {
        let slots = Slots::new(4);
        let (many, few) = (from(1), from(2));
        let scraper = slots.enter(few).await;
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(Arc::new(slots.enter(many).await));
        }
        // All but the scraper have been at work since it came.
        for slot in [&held[1], &held[0], &held[2]] {
            drop(slot.begin());
        }
        assert!(slots.enter(few).now_or_never().is_none());
        assert!(!is_told(&scraper));
        assert_eq!(held.iter().map(|slot| is_told(slot)).collect::<Vec<_>>(), [false, true, false]);
    }

    #[tokio::test]
    async fn who_has_most_places_waits_for_one_of_its_own() {
        let slots = Slots::new(3);
        let scraper = slots.enter(from(2)).await;
        let held = [Arc::new(slots.enter(from(1)).await), Arc::new(slots.enter(from(1)).await)];
        let _busy = [held[0].begin(), held[1].begin()];
        assert!(slots.enter(from(1)).now_or_never().is_none());
        assert!(!is_told(&scraper), "the only one that is idle");
        drop(held);
    }
}
