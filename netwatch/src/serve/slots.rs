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

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Full {
    /// One has been told to go.
    ForNow,
    /// Nobody has to give way.
    Quite,
}

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

    /// A place for a connection; whoever has to make room for it is told so. One waits here at a time.
    pub(super) async fn enter(self: &Arc<Self>, source: Source) -> Slot {
        let go = Arc::default();
        loop {
            match self.try_enter(source, &go, false) {
                Ok(slot) => return slot,
                Err(_) => self.wait().await,
            }
        }
    }

    /// A place for what a connection asks for, unless it would take too long. Giving it up is giving up the connection.
    pub(super) async fn enter_for(self: &Arc<Self>, visitor: &Slot) -> Option<Slot> {
        let begin = Instant::now();
        while begin.elapsed() < LOOK {
            match self.try_enter(visitor.source, &visitor.go, true) {
                Ok(slot) => {
                    // Another one may have been waiting for the same to go.
                    self.freed.notify_one();
                    return Some(slot);
                }
                Err(Full::ForNow) => self.wait().await,
                Err(Full::Quite) => return None,
            }
        }
        None
    }

    async fn wait(&self) {
        let _ = timeout(LOOK, self.freed.notified()).await;
    }

    fn try_enter(
        self: &Arc<Self>,
        source: Source,
        go: &Arc<Notify>,
        busy: bool,
    ) -> Result<Slot, Full> {
        let mut taken = self.lock();
        if taken.held.len() < self.most {
            taken.last += 1;
            let (id, since) = (taken.last, Instant::now());
            taken.held.insert(id, Held { source, busy, since, going: false, go: Arc::clone(go) });
            return Ok(Slot { slots: Arc::clone(self), id, source, go: Arc::clone(go) });
        }
        if taken.held.values().any(|held| held.going) {
            return Err(Full::ForNow);
        }
        let mut places = HashMap::<Source, usize>::new();
        for held in taken.held.values() {
            *places.entry(held.source).or_default() += 1;
        }
        let own = places.get(&source).copied().unwrap_or_default();
        let places = |held: &Held| places.get(&held.source).copied().unwrap_or_default();
        // Nobody takes from who has less, and what is being answered only from who has more even then.
        let may_go = |held: &&mut Held| {
            let is_idle = !held.busy || held.since.elapsed() > PATIENCE;
            places(held) > own + 1 || is_idle && places(held) >= own
        };
        let of_most = taken
            .held
            .values_mut()
            .filter(may_go)
            .min_by_key(|held| (Reverse(places(held)), held.busy, held.since));
        let Some(held) = of_most else { return Err(Full::Quite) };
        held.going = true;
        held.go.notify_one();
        Err(Full::ForNow)
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
        assert!(slots.enter(from(2)).now_or_never().is_none());
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
        let first = answers.enter_for(&many).await.unwrap();
        let second = answers.enter_for(&again).await.unwrap();
        assert!(answers.enter_for(&many).now_or_never().unwrap().is_none(), "at once");
        let mut waits = std::pin::pin!(answers.enter_for(&few));
        assert!(waits.as_mut().now_or_never().is_none());
        assert_eq!((is_told(&many), is_told(&again), is_told(&few)), (true, false, false));
        drop(first);
        let third = waits.now_or_never().unwrap().unwrap();
        drop((second, third));
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
