//! Several events in one, for a reader that wants it so.

use std::{sync::Arc, time::Duration};

use super::{Event, Kind, Request};
use crate::model::WallTime;

/// Makes one event of several. Whatever is taken is given out once, or is part of one that is given out.
pub trait Folder<E>: Send {
    /// What begins and ends within a time becomes one; `only_ends`: beginnings are not taken.
    fn new(within: Duration, only_ends: bool) -> Self;

    /// Takes an event, and gives out what is to be told now. Time goes on with the events' own.
    fn take(&mut self, event: Arc<E>, out: &mut dyn FnMut(Arc<E>));

    /// It is that late: gives out what has waited long enough.
    fn tick(&mut self, now: WallTime, out: &mut dyn FnMut(Arc<E>));

    /// Gives out everything.
    fn finish(&mut self, out: &mut dyn FnMut(Arc<E>));

    /// Whether something waits for its time.
    fn is_waiting(&self) -> bool;
}

/// Folds what a request wants folded, and lets everything else pass.
pub struct Folding<E: Event>(Option<E::Folder>);

impl<E: Event> Folding<E> {
    /// As a request wants it.
    pub fn new(request: &Request) -> Self {
        let only_ends = !request.filter.admits_kind(Kind::Start);
        Self(request.fold_ns.map(|ns| E::Folder::new(Duration::from_nanos(ns), only_ends)))
    }

    /// Takes an event that is wanted, and gives out what is to be told now.
    pub fn take(&mut self, event: &Arc<E>, out: &mut dyn FnMut(Arc<E>)) {
        match &mut self.0 {
            Some(folder) => folder.take(Arc::clone(event), out),
            None => out(Arc::clone(event)),
        }
    }

    /// No event has come, and it is that late.
    pub fn tick(&mut self, now: WallTime, out: &mut dyn FnMut(Arc<E>)) {
        if let Some(folder) = &mut self.0 {
            folder.tick(now, out);
        }
    }

    /// No event comes any more.
    pub fn finish(&mut self, out: &mut dyn FnMut(Arc<E>)) {
        if let Some(folder) = &mut self.0 {
            folder.finish(out);
        }
    }

    /// Whether something waits for its time.
    pub fn is_waiting(&self) -> bool {
        self.0.as_ref().is_some_and(Folder::is_waiting)
    }
}
