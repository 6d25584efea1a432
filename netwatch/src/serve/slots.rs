//! Places for connections, as many as may be: one that comes when all are taken gets that of the one that has been idle
//! longest. So whoever connects and says nothing keeps nobody out, however often.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::Notify, time::timeout};

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
    pub(super) async fn enter(self: &Arc<Self>) -> Slot {
        loop {
            if let Some(slot) = self.try_enter() {
                return slot;
            }
            let _ = timeout(LOOK, self.freed.notified()).await;
        }
    }

    fn try_enter(self: &Arc<Self>) -> Option<Slot> {
        let mut taken = self.lock();
        if taken.held.len() < self.most {
            taken.last += 1;
            let (id, go) = (taken.last, Arc::new(Notify::new()));
            let held =
                Held { busy: false, since: Instant::now(), going: false, go: Arc::clone(&go) };
            taken.held.insert(id, held);
            return Some(Slot { slots: Arc::clone(self), id, go });
        }
        if taken.held.values().any(|held| held.going) {
            return None;
        }
        let may_go = |held: &&mut Held| !held.busy || held.since.elapsed() > PATIENCE;
        let longest =
            taken.held.values_mut().filter(may_go).min_by_key(|held| (held.busy, held.since));
        if let Some(held) = longest {
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

    fn is_told(slot: &Slot) -> bool {
        slot.displaced().now_or_never().is_some()
    }

    #[tokio::test]
    async fn the_one_that_is_idle_longest_gives_way() {
        let slots = Slots::new(3);
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(Arc::new(slots.enter().await));
        }
        // The first is at work, the second has been and is the latest to be idle.
        let _busy = held[0].begin();
        drop(held[1].begin());
        assert!(slots.enter().now_or_never().is_none());
        assert_eq!(held.iter().map(|slot| is_told(slot)).collect::<Vec<_>>(), [false, false, true]);
        // Nobody else is told while it has not gone.
        assert!(slots.enter().now_or_never().is_none());
        assert!(!is_told(&held[1]));
        held.pop();
        assert!(slots.enter().now_or_never().is_some());
    }

    #[tokio::test]
    async fn nobody_who_is_being_answered_gives_way() {
        let slots = Slots::new(1);
        let slot = Arc::new(slots.enter().await);
        let busy = slot.begin();
        assert!(slots.enter().now_or_never().is_none());
        assert!(!is_told(&slot));
        slots.lock().held.values_mut().for_each(|held| {
            held.since = Instant::now().checked_sub(PATIENCE * 2).expect("an earlier time");
        });
        assert!(slots.enter().now_or_never().is_none());
        assert!(is_told(&slot), "unless it takes for ever");
        drop((busy, slot));
        assert!(slots.enter().now_or_never().is_some());
    }
}
