//! Folds what is told of short flows: those of one burst between the same two become one line.

mod starts;

use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use hashbrown::HashTable;

use self::starts::Starts;
use super::sum::Sum;
use crate::model::{EndReason, FlowEvent, FlowPhase, FlowRecord, Fold, Instant};

/// Starts that wait for their end. One more, and the oldest is told by itself.
const MOST_STARTS: usize = 16_384;
/// Folds that are open. One more, and the oldest is told.
const MOST_FOLDS: usize = 1_024;
/// Connections in all open folds whose handshakes are kept for the median. One more, and the oldest fold is told.
const MOST_WAITS: usize = 65_536;

/// What comes out: a line as it came, or one for many.
#[derive(Debug, PartialEq, Eq)]
pub enum Folded<T> {
    /// It was not folded.
    One(T),
    /// Several flows.
    Many(Box<Fold>),
}

/// Folds flows that begin and end within a time.
///
/// The start of a flow waits that long for its end. If the end comes, both go into a fold, which is told that long after it
/// was opened; else the flow is told as without folding: it is a long one. Whatever was told went in, and goes out once:
/// each line as it came, or added to one fold. Memory is bounded: what does not fit is told early.
///
/// `T` is a line, of which nothing is asked.
#[derive(Debug)]
pub struct Folder<T> {
    within: Duration,
    /// No starts come: what begins and ends within the time is told by the ends alone.
    only_ends: bool,
    starts: Starts<T>,
    /// Open folds, oldest first; the first one has this number.
    folds: VecDeque<Open<T>>,
    first: u64,
    by_ends: HashTable<u64>,
    /// Names and addresses come from outside, so they must not be able to collide on purpose.
    hasher: RandomState,
    waits: usize,
}

#[derive(Debug)]
struct Open<T> {
    until: Instant,
    hash: u64,
    sum: Sum,
    /// Start and end of the first flow, as long as it is alone.
    alone: Option<(Option<T>, T)>,
}

impl<T> Folder<T> {
    /// Folds flows that begin and end within this time.
    pub fn new(within: Duration) -> Self {
        Self {
            within,
            only_ends: false,
            starts: Starts::new(),
            folds: VecDeque::new(),
            first: 0,
            by_ends: HashTable::new(),
            hasher: RandomState::new(),
            waits: 0,
        }
    }

    /// The same for one who is told of no starts.
    pub fn of_ends(within: Duration) -> Self {
        Self { only_ends: true, ..Self::new(within) }
    }

    /// Whether something waits for its time.
    pub fn is_waiting(&self) -> bool {
        self.starts.len() > 0 || !self.folds.is_empty()
    }

    /// Takes an event and its line, and gives out what is to be told now.
    pub fn take(
        &mut self,
        event: &FlowEvent,
        line: T,
        now: Instant,
        out: &mut impl FnMut(Folded<T>),
    ) {
        if event.phase == FlowPhase::Start {
            let before = self.starts.push(&event.flow, now.after(self.within), line);
            let too_many = (self.starts.len() > MOST_STARTS).then(|| self.starts.pop()).flatten();
            before.into_iter().chain(too_many).for_each(|line| out(Folded::One(line)));
            return;
        }
        let start = self.starts.take(&event.flow);
        let is_short = (start.is_some() || self.only_ends) && event.flow.duration() <= self.within;
        match event.phase {
            // What is late is no flow of its own.
            FlowPhase::End(reason) if is_short && reason != EndReason::Late => {
                self.fold(event, (start, line), now, out);
            }
            _ => start.into_iter().chain([line]).for_each(|line| out(Folded::One(line))),
        }
    }

    /// Gives out what has waited long enough.
    pub fn tick(&mut self, now: Instant, out: &mut impl FnMut(Folded<T>)) {
        while let Some(line) = self.starts.pop_late(now) {
            out(Folded::One(line));
        }
        while self.folds.front().is_some_and(|fold| fold.until <= now) {
            self.tell_oldest_fold(out);
        }
    }

    /// Gives out everything.
    pub fn finish(&mut self, out: &mut impl FnMut(Folded<T>)) {
        self.tick(Instant(u64::MAX), out);
    }

    fn fold(
        &mut self,
        event: &FlowEvent,
        lines: (Option<T>, T),
        now: Instant,
        out: &mut impl FnMut(Folded<T>),
    ) {
        let hash = self.hash(&event.flow);
        let before = |number: &u64| {
            let open = usize::try_from(number - self.first).ok().and_then(|at| self.folds.get(at));
            open.is_some_and(|open| open.sum.takes(&event.flow))
        };
        let known = self.by_ends.find(hash, before).map(|number| number - self.first);
        let place = known.and_then(|at| usize::try_from(at).ok()).unwrap_or(self.folds.len());
        if let Some(open) = self.folds.get_mut(place) {
            open.sum.add(event);
            open.alone = None;
        } else {
            let number = self.first + place as u64;
            let hash_of = |number: &u64| {
                let at = usize::try_from(number - self.first).ok();
                at.and_then(|at| self.folds.get(at)).map_or(0, |open| open.hash)
            };
            self.by_ends.insert_unique(hash, number, hash_of);
            let until = now.after(self.within);
            self.folds.push_back(Open { until, hash, sum: Sum::new(event), alone: Some(lines) });
        }
        self.waits += usize::from(event.flow.handshake.is_some());
        if self.folds.len() > MOST_FOLDS || self.waits > MOST_WAITS {
            self.tell_oldest_fold(out);
        }
    }

    fn hash(&self, flow: &FlowRecord) -> u64 {
        let port = flow.protocol.has_ports().then_some(flow.server.socket.port);
        let ends = (flow.client.address(), flow.server.address(), port, flow.protocol);
        self.hasher.hash_one(ends)
    }

    fn tell_oldest_fold(&mut self, out: &mut impl FnMut(Folded<T>)) {
        let Some(Open { hash, sum, alone, .. }) = self.folds.pop_front() else { return };
        if let Ok(entry) = self.by_ends.find_entry(hash, |number| *number == self.first) {
            entry.remove();
        }
        self.first += 1;
        self.waits -= sum.waits();
        match alone {
            Some((start, end)) => {
                start.into_iter().chain([end]).for_each(|line| out(Folded::One(line)));
            }
            None => out(Folded::Many(Box::new(sum.into()))),
        }
    }
}

#[cfg(test)]
mod tests;
