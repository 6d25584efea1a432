//! Places, as many as may be: for connections, and for answers that are being made and sent. One that comes when all are taken
//! gets that of the one that has been idle longest, of those from where most are. So whoever connects keeps nobody out,
//! however often, whatever it says, and however slowly it reads.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

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

impl Taken {
    /// Who makes room for one more of a source, if anybody does.
    fn first_to_go(&mut self, source: Source) -> Option<&mut Held> {
        let mut places = HashMap::<Source, usize>::new();
        for held in self.held.values().filter(|held| !held.going) {
            *places.entry(held.source).or_default() += 1;
        }
        let own = places.get(&source).copied().unwrap_or_default();
        let places = |held: &Held| places.get(&held.source).copied().unwrap_or_default();
        // Nobody takes from who has less, and what is being answered only from who has more even then.
        let may_go = |held: &&mut Held| {
            let is_idle = !held.busy || held.since.elapsed() > PATIENCE;
            !held.going && (places(held) > own + 1 || is_idle && places(held) >= own)
        };
        let all = self.held.values_mut().filter(may_go);
        all.min_by_key(|held| (Reverse(places(held)), held.busy, held.since))
    }
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

    /// A place for a connection; one waits here at a time.
    pub(super) async fn enter(self: &Arc<Self>, source: Source) -> Slot {
        let go = Arc::default();
        loop {
            if let Some(slot) = self.try_enter(source, &go, false) {
                return slot;
            }
            let _ = timeout(LOOK, self.freed.notified()).await;
        }
    }

    /// A place for what a connection asks for. Giving it up is giving up the connection.
    pub(super) fn enter_for(self: &Arc<Self>, visitor: &Slot) -> Option<Slot> {
        self.try_enter(visitor.source, &visitor.go, true)
    }

    /// A place; whoever has to make room for it is told so, and needs a moment to go. As many as there are places may be going.
    fn try_enter(self: &Arc<Self>, source: Source, go: &Arc<Notify>, busy: bool) -> Option<Slot> {
        let mut taken = self.lock();
        let staying = taken.held.values().filter(|held| !held.going).count();
        if staying >= self.most {
            if taken.held.len() - staying >= self.most {
                return None;
            }
            let held = taken.first_to_go(source)?;
            held.going = true;
            held.go.notify_one();
        }
        taken.last += 1;
        let (id, since) = (taken.last, Instant::now());
        taken.held.insert(id, Held { source, busy, since, going: false, go: Arc::clone(go) });
        Some(Slot { slots: Arc::clone(self), id, source, go: Arc::clone(go) })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place, until it is dropped.
pub(super) struct Slot {
    slots: Arc<Slots>,
    id: u64,
    source: Source,
    go: Arc<Notify>,
}

impl Slot {
    /// Returns when another connection needs the place.
    pub(super) async fn displaced(&self) {
        self.go.notified().await;
    }

    /// Returns when a request has been answered for so long.
    pub(super) async fn overdue(&self, limit: Duration) {
        loop {
            let left = self.left(limit);
            if left.is_zero() {
                return;
            }
            sleep(left).await;
        }
    }

    /// Nothing can be overdue earlier.
    fn left(&self, limit: Duration) -> Duration {
        match self.slots.lock().held.get(&self.id) {
            Some(held) if held.busy => limit.saturating_sub(held.since.elapsed()),
            _ => limit,
        }
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
        let next = slots.enter(from(1)).now_or_never().unwrap();
        assert_eq!(held.iter().map(|slot| is_told(slot)).collect::<Vec<_>>(), [false, false, true]);
        let last = slots.enter(from(1)).now_or_never().unwrap();
        assert!(is_told(&held[1]));
        let _other = slots.enter(from(1)).now_or_never().unwrap();
        assert!(is_told(&next));
        // As many are going as there are places.
        assert!(slots.enter(from(1)).now_or_never().is_none());
        assert!(!is_told(&last));
        held.pop();
        assert!(slots.enter(from(1)).now_or_never().is_some());
        assert!(is_told(&last));
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
        assert!(slots.enter(from(1)).now_or_never().is_some());
        assert!(is_told(&slot), "unless it takes for ever");
        drop((busy, slot));
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
        let _next = slots.enter(few).now_or_never().unwrap();
        assert!(!is_told(&scraper));
        assert_eq!(held.iter().map(|slot| is_told(slot)).collect::<Vec<_>>(), [false, true, false]);
    }

    /// What is being answered gives way too where its source has more than the other one would have then.
    #[tokio::test]
    async fn nobody_takes_all_places_by_asking_much() {
        let slots = Slots::new(3);
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(Arc::new(slots.enter(from(1)).await));
        }
        let _busy: Vec<_> = held.iter().map(Slot::begin).collect();
        assert!(slots.enter(from(1)).now_or_never().is_none());
        assert!(!held.iter().any(|slot| is_told(slot)), "not for one of its own");
        let _other = slots.enter(from(2)).now_or_never().unwrap();
        assert_eq!(held.iter().map(|slot| is_told(slot)).collect::<Vec<_>>(), [true, false, false]);
    }

    #[tokio::test]
    async fn an_answer_has_its_place_by_the_connection() {
        let (connections, answers) = (Slots::new(8), Slots::new(2));
        let [many, again, few] = [
            connections.enter(from(1)).await,
            connections.enter(from(1)).await,
            connections.enter(from(2)).await,
        ];
        let held = [answers.enter_for(&many).unwrap(), answers.enter_for(&again).unwrap()];
        assert!(answers.enter_for(&many).is_none());
        let other = answers.enter_for(&few).unwrap();
        assert_eq!((is_told(&many), is_told(&again), is_told(&few)), (true, false, false));
        assert!(answers.enter_for(&few).is_none(), "both have one");
        drop((held, other));
    }

    #[tokio::test]
    async fn only_what_is_being_answered_can_be_overdue() {
        let slots = Slots::new(1);
        let slot = Arc::new(slots.enter(from(1)).await);
        let limit = Duration::from_secs(30);
        assert_eq!(slot.left(limit), limit);
        let busy = slot.begin();
        slots.lock().held.values_mut().for_each(|held| {
            held.since = Instant::now().checked_sub(limit).expect("an earlier time");
        });
        assert!(slot.overdue(limit).now_or_never().is_some());
        drop(busy);
        assert!(slot.overdue(limit).now_or_never().is_none());
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
