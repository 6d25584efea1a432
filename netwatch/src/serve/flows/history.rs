//! Past events, bounded by memory and age, which any number of readers walk along. The newest are at hand, those before are
//! [`Packed`].

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    pin,
    sync::{Notify, futures::Notified},
    task::yield_now,
};

use super::{Event, packed::Packed};

/// Events that are packed and handed out at a time.
pub(super) const PORTION: usize = 256;

/// How much to keep.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Memory that all events would take that are kept. Packed they take less.
    pub bytes: usize,
    /// How long they are kept. What is packed goes with the youngest of its portion.
    pub age: Duration,
}

/// The last events. Each has a number, one more than the one before it.
pub struct History<E> {
    limits: Limits,
    ring: Mutex<Ring<E>>,
    news: Notify,
    closing: Notify,
}

struct Ring<E> {
    /// The oldest events that are kept, [`PORTION`] in each.
    packed: VecDeque<Kept<Packed<E>>>,
    /// The others.
    recent: VecDeque<Kept<Arc<E>>>,
    /// The number of the next event.
    next: u64,
    bytes: usize,
    closed: bool,
}

/// One event or a portion, when it came and what it would take.
struct Kept<T> {
    what: T,
    since: Instant,
    bytes: usize,
}

/// Events from the ring, to be looked at without it.
enum Found<E> {
    Recent(Vec<Arc<E>>),
    Packed { all: Packed<E>, wanted: Range<usize> },
}

/// What there is from a number on.
pub(super) struct Portion<E> {
    /// Events that have gone already.
    pub(super) missed: u64,
    /// The next ones. None: there are no more yet.
    pub(super) events: Vec<Arc<E>>,
    /// The number to go on with.
    pub(super) next: u64,
    /// Nothing will be added any more.
    pub(super) closed: bool,
}

impl<E: Event> History<E> {
    /// An empty one.
    pub fn new(limits: Limits) -> Self {
        let ring = Ring {
            packed: VecDeque::new(),
            recent: VecDeque::new(),
            next: 0,
            bytes: 0,
            closed: false,
        };
        Self { limits, ring: Mutex::new(ring), news: Notify::new(), closing: Notify::new() }
    }

    /// Adds an event. Waits for no reader: they hold the ring for as long as it takes to copy some pointers.
    pub fn publish(&self, event: Arc<E>, now: Instant) {
        let bytes = event.bytes();
        {
            let mut ring = self.ring();
            ring.recent.push_back(Kept { what: event, since: now, bytes });
            ring.next += 1;
            ring.bytes += bytes;
            ring.pack();
            ring.shrink(self.limits, now);
        }
        self.news.notify_waiters();
    }

    /// Nothing will be added any more: readers end when they have read what there is.
    pub fn close(&self) {
        self.ring().closed = true;
        self.closing.notify_waiters();
        self.news.notify_waiters();
    }

    /// Whether nothing will be added any more.
    pub(super) fn is_closed(&self) -> bool {
        self.ring().closed
    }

    /// Is ready once it has been closed.
    pub(super) async fn closed(&self) {
        let closing = self.closing.notified();
        pin!(closing);
        // Before asking: a closing that comes after it is not missed.
        closing.as_mut().enable();
        if !self.ring().closed {
            closing.await;
        }
    }

    /// Is ready after the next event or the closing, if it has been enabled before.
    pub(super) fn news(&self) -> Notified<'_> {
        self.news.notified()
    }

    /// The number of the next event.
    pub(super) fn end(&self) -> u64 {
        self.ring().next
    }

    /// The number of the oldest event.
    pub(super) fn begin(&self, now: Instant) -> u64 {
        let mut ring = self.ring();
        ring.shrink(self.limits, now);
        ring.first()
    }

    /// The next events from a number on, and before `end`.
    pub(super) fn read(&self, from: u64, end: u64, now: Instant) -> Portion<E> {
        let (begin, found, closed) = {
            let mut ring = self.ring();
            ring.shrink(self.limits, now);
            let begin = from.max(ring.first()).min(end);
            (begin, ring.from(begin, end), ring.closed)
        };
        let next = begin + found.len() as u64;
        let events = found.events();
        Portion { missed: next - from - events.len() as u64, events, next, closed }
    }

    /// The number from which on there are so many wanted events before `end`, or the oldest number if there are fewer.
    pub(super) async fn begin_of_last(
        &self,
        count: usize,
        end: u64,
        now: impl Fn() -> Instant,
        mut is_wanted: impl FnMut(&E) -> bool,
    ) -> u64 {
        let last = end.min(self.end());
        let mut end = last;
        let mut missing = count;
        while missing > 0 {
            let (first, found) = {
                let mut ring = self.ring();
                // What is too old has not been missed by somebody who asks now.
                ring.shrink(self.limits, now());
                (ring.first(), ring.until(end))
            };
            let events = found.events();
            if events.is_empty() {
                return first.min(last);
            }
            for event in events.iter().rev() {
                end -= 1;
                missing -= usize::from(is_wanted(event));
                if missing == 0 {
                    return end;
                }
            }
            // A long history must not keep a thread from the others.
            yield_now().await;
        }
        end
    }

    /// Whoever panicked with it in hand has left it whole.
    fn ring(&self) -> MutexGuard<'_, Ring<E>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E: Event> Found<E> {
    fn len(&self) -> usize {
        match self {
            Self::Recent(events) => events.len(),
            Self::Packed { wanted, .. } => wanted.len(),
        }
    }

    fn events(self) -> Vec<Arc<E>> {
        match self {
            Self::Recent(events) => events,
            Self::Packed { all, wanted } => {
                let mut events = all.events();
                events.truncate(wanted.end);
                events.drain(..wanted.start.min(events.len()));
                events
            }
        }
    }
}

impl<E: Event> Ring<E> {
    /// The number of the oldest one at hand.
    fn first_recent(&self) -> u64 {
        self.next - self.recent.len() as u64
    }

    /// The number of the oldest event. Those that are packed come first.
    fn first(&self) -> u64 {
        self.first_recent() - (self.packed.len() * PORTION) as u64
    }

    /// Some events from this one on, and before `end`.
    fn from(&self, begin: u64, end: u64) -> Found<E> {
        self.portion(begin, begin..end.min(begin + PORTION as u64))
    }

    /// Some events before `end`.
    fn until(&self, end: u64) -> Found<E> {
        let end = end.clamp(self.first(), self.next);
        let begin = end.saturating_sub(PORTION as u64).max(self.first());
        self.portion(end.saturating_sub(1), begin..end)
    }

    /// Those of these events that are in one piece with one of them.
    fn portion(&self, one: u64, wanted: Range<u64>) -> Found<E> {
        let within = |begin: u64, length: usize| {
            let place = |number: u64| {
                let place = usize::try_from(number.saturating_sub(begin));
                place.unwrap_or(usize::MAX).min(length)
            };
            place(wanted.start)..place(wanted.end)
        };
        let before = one.saturating_sub(self.first()) / PORTION as u64;
        let piece = usize::try_from(before).ok().and_then(|before| self.packed.get(before));
        if let Some(all) = piece {
            let begin = self.first() + before * PORTION as u64;
            Found::Packed { all: all.what.clone(), wanted: within(begin, PORTION) }
        } else {
            let wanted = within(self.first_recent(), self.recent.len());
            Found::Recent(self.recent.range(wanted).map(|kept| Arc::clone(&kept.what)).collect())
        }
    }

    /// Leaves at hand what somebody who follows is going to read.
    fn pack(&mut self) {
        if self.recent.len() == 2 * PORTION {
            let oldest: Vec<_> = self.recent.drain(..PORTION).collect();
            let bytes = oldest.iter().map(|kept| kept.bytes).sum();
            let youngest = oldest.iter().map(|kept| kept.since).max();
            let events: Vec<_> = oldest.iter().map(|kept| &kept.what).collect();
            self.packed.extend(youngest.map(|since| Kept {
                what: Packed::new(&events),
                since,
                bytes,
            }));
        }
    }

    fn shrink(&mut self, limits: Limits, now: Instant) {
        let is_old = |since| now.saturating_duration_since(since) > limits.age;
        while let Some(oldest) = self.packed.front()
            && (self.bytes > limits.bytes || is_old(oldest.since))
        {
            self.bytes -= oldest.bytes;
            self.packed.pop_front();
        }
        while let Some(oldest) = self.recent.front()
            && self.packed.is_empty()
            && (self.bytes > limits.bytes || is_old(oldest.since))
        {
            self.bytes -= oldest.bytes;
            self.recent.pop_front();
        }
    }
}
