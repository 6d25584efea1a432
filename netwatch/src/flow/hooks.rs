//! What each hook has counted of one conversation.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::model::{EntrySide, Seen, Tally};

/// A hook, and which way the packets went that it saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hook {
    pub(super) ifindex: u32,
    pub(super) side: EntrySide,
    /// From the low end of the key to the high one.
    pub(super) from_low: bool,
}

/// Sums by hook and direction. Between two interfaces there are four, so that many are kept in place.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Hooks(SmallVec<[(Hook, Tally); 4]>);

impl Hooks {
    /// Adds what a hook has seen anew.
    pub(super) fn add(&mut self, hook: Hook, new: Tally) {
        match self.0.iter_mut().find(|(known, _)| *known == hook) {
            Some((_, tally)) => *tally += new,
            None => self.0.push((hook, new)),
        }
    }

    /// The packets of one direction, each once.
    ///
    /// Of the hooks that a packet crosses, the one nearest its sender has seen the most: whatever is lost is lost on
    /// the way. So the largest count is the sender's, also when that hook was attached too late to see the beginning.
    pub(super) fn counted(&self, from_low: bool) -> Tally {
        let hooks = self.0.iter().filter(|(hook, _)| hook.from_low == from_low);
        hooks.fold(Tally::ZERO, |most, (_, tally)| most.max(*tally))
    }

    /// Whether one of the ends sent into this interface.
    pub(super) fn are_behind(&self, ifindex: u32) -> bool {
        self.0.iter().any(|(hook, _)| hook.ifindex == ifindex && hook.side == EntrySide::Ingress)
    }

    /// All of them.
    pub(super) fn seen(&self, low_is_client: bool) -> Vec<Seen> {
        let seen = |(hook, tally): &(Hook, Tally)| Seen {
            ifindex: hook.ifindex,
            side: hook.side,
            from_client: hook.from_low == low_is_client,
            tally: *tally,
        };
        self.0.iter().map(seen).collect()
    }
}
