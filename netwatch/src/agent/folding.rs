//! Lines of the flow log, with short flows folded if that is wanted.

use std::{sync::Arc, time::Duration};

use super::{flow_log::Line, told::Told};
use crate::{
    flow::{Folded, Folder},
    model::{Clock, Instant},
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

fn one(line: Folded<Arc<Told>>, clock: Clock) -> Arc<Told> {
    match line {
        Folded::One(told) => told,
        Folded::Many(fold) => Arc::new(Told { line: Line::Fold(fold), clock }),
    }
}
