//! Past events, bounded by memory and age, which any number of readers walk along.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    pin,
    sync::{Notify, futures::Notified},
    task::yield_now,
};

use super::Event;

/// Events that are handed out at a time: as long as this takes, the publisher may have to wait.
const PORTION: usize = 256;
/// What a place in the ring takes, whether or not there is an event in it.
pub(super) const PLACE: usize = size_of::<Kept<()>>();
const _: () = assert!(PLACE == 16, "there are as many as there are events");

/// How much to keep.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Memory of all events, and of the ring.
    pub bytes: usize,
    /// Age of the oldest one.
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
    events: VecDeque<Kept<E>>,
    /// The number of the next event.
    next: u64,
    bytes: usize,
    closed: bool,
    begin: Instant,
}

struct Kept<E> {
    event: Arc<E>,
    /// Seconds since the history's begin.
    since: u32,
    bytes: u32,
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
            events: VecDeque::new(),
            next: 0,
            bytes: 0,
            closed: false,
            begin: Instant::now(),
        };
        Self { limits, ring: Mutex::new(ring), news: Notify::new(), closing: Notify::new() }
    }

    /// Adds an event. Waits for no reader: they hold the ring for as long as it takes to copy some pointers.
    pub fn publish(&self, event: Arc<E>, now: Instant) {
        let bytes = u32::try_from(event.bytes()).unwrap_or(u32::MAX);
        {
            let mut ring = self.ring();
            let since = ring.second(now);
            ring.events.push_back(Kept { event, since, bytes });
            ring.next += 1;
            ring.bytes += bytes as usize;
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
        let mut ring = self.ring();
        ring.shrink(self.limits, now);
        let begin = from.max(ring.first()).min(end);
        let events = ring.portion(begin, end.min(begin + PORTION as u64));
        let next = begin + events.len() as u64;
        Portion { missed: begin - from, events, next, closed: ring.closed }
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
            let (begin, events) = {
                let mut ring = self.ring();
                // What is too old has not been missed by somebody who asks now.
                ring.shrink(self.limits, now());
                let begin = end.saturating_sub(PORTION as u64).max(ring.first());
                (begin, ring.portion(begin, end))
            };
            if events.is_empty() {
                return begin.min(last);
            }
            for event in events.iter().rev() {
                end -= 1;
                missing -= usize::from(is_wanted(event));
                if missing == 0 {
                    return end;
                }
            }
            end = begin;
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

impl<E> Ring<E> {
    fn first(&self) -> u64 {
        self.next - self.events.len() as u64
    }

    /// The events with these numbers, as far as they are there.
    fn portion(&self, begin: u64, end: u64) -> Vec<Arc<E>> {
        let place = |number: u64| {
            let place = number.clamp(self.first(), self.next) - self.first();
            usize::try_from(place).unwrap_or(usize::MAX).min(self.events.len())
        };
        let (begin, end) = (place(begin), place(end));
        if begin >= end {
            return Vec::new();
        }
        self.events.range(begin..end).map(|kept| Arc::clone(&kept.event)).collect()
    }

    fn second(&self, now: Instant) -> u32 {
        let seconds = now.saturating_duration_since(self.begin).as_secs();
        u32::try_from(seconds).unwrap_or(u32::MAX)
    }

    fn shrink(&mut self, limits: Limits, now: Instant) {
        let second = self.second(now);
        let is_old = |since: u32| u64::from(second.saturating_sub(since)) > limits.age.as_secs();
        let room = limits.bytes.saturating_sub(self.events.capacity() * PLACE);
        while let Some(oldest) = self.events.front()
            && (self.bytes > room || is_old(oldest.since))
        {
            self.bytes -= oldest.bytes as usize;
            self.events.pop_front();
        }
    }
}
