//! Short flows folded: in the flow log, and for a reader that wants it.

use std::{sync::Arc, time::Duration};

use super::{flow_log::Line, told::Told};
use crate::{
    flow::{Folded, Folder},
    model::{Clock, Instant, WallTime},
    serve::flows::{self, Event as _},
};

/// Folds flows, or lets every line pass at once.
pub(super) struct Folding(Option<Folder<Arc<Told>>>);

impl Folding {
    /// Folds flows that begin and end within this time; `None`: none.
    pub(super) fn new(within: Option<Duration>) -> Self {
        Self(within.map(Folder::new))
    }

    /// Takes a line, and gives out what is to be written now.
    pub(super) fn take(&mut self, told: Arc<Told>, now: Instant, out: &mut impl FnMut(Arc<Told>)) {
        let Told { line, clock } = &*told;
        match (&mut self.0, line) {
            (Some(folder), Line::Flow(event)) => {
                folder.take(event, Arc::clone(&told), now, &mut |line| out(one(line, *clock)));
            }
            _ => out(told),
        }
    }

    /// Gives out what has waited long enough.
    pub(super) fn tick(&mut self, now: Instant, clock: Clock, out: &mut impl FnMut(Arc<Told>)) {
        if let Some(folder) = &mut self.0 {
            folder.tick(now, &mut |line| out(one(line, clock)));
        }
    }

    /// Gives out everything.
    pub(super) fn finish(&mut self, clock: Clock, out: &mut impl FnMut(Arc<Told>)) {
        if let Some(folder) = &mut self.0 {
            folder.finish(&mut |line| out(one(line, clock)));
        }
    }
}

fn one<E: Foldable>(line: Folded<Arc<E>>, clock: Clock) -> Arc<E> {
    match line {
        Folded::One(event) => event,
        Folded::Many(fold) => Arc::new(E::of(Told { line: Line::Fold(fold), clock })),
    }
}

/// An event that can be told together with others.
pub trait Foldable: Sized {
    /// What it tells.
    fn told(&self) -> &Told;

    /// Several of them in one.
    fn of(told: Told) -> Self;
}

impl Foldable for Told {
    fn told(&self) -> &Told {
        self
    }

    fn of(told: Told) -> Self {
        told
    }
}

/// Folds what one reader wants. Its time is that of the events, on the wall: what has been kept may be of any time.
pub struct ForReader<E> {
    folder: Folder<Arc<E>>,
    now: Instant,
    clock: Clock,
}

/// Instants are times on the wall.
const WALL: Clock = Clock { offset_ns: 0 };

impl<E: Foldable + Send + Sync> flows::Folder<E> for ForReader<E> {
    fn new(within: Duration, only_ends: bool) -> Self {
        let folder = if only_ends { Folder::of_ends(within) } else { Folder::new(within) };
        Self { folder, now: Instant(0), clock: WALL }
    }

    fn take(&mut self, event: Arc<E>, out: &mut dyn FnMut(Arc<E>)) {
        let Told { line, clock } = event.told();
        self.clock = *clock;
        self.tick(event.told().facts().time, out);
        if let Line::Flow(flow) = line {
            let (line, clock) = (Arc::clone(&event), self.clock);
            self.folder.take(flow, line, self.now, &mut |line| out(one(line, clock)));
        } else {
            out(event);
        }
    }

    fn tick(&mut self, now: WallTime, out: &mut dyn FnMut(Arc<E>)) {
        // Events are nearly in the order of their times.
        self.now = self.now.max(WALL.instant(now));
        let clock = self.clock;
        self.folder.tick(self.now, &mut |line| out(one(line, clock)));
    }

    fn finish(&mut self, out: &mut dyn FnMut(Arc<E>)) {
        let clock = self.clock;
        self.folder.finish(&mut |line| out(one(line, clock)));
    }

    fn is_waiting(&self) -> bool {
        self.folder.is_waiting()
    }
}
