//! How a TCP connection was set up.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::hooks::Hook;
use crate::model::{Handshake, Instant};

/// When the SYN and the SYN-ACK passed each hook.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Opening {
    passed: SmallVec<[(Hook, Instant); 4]>,
    /// The first ACK of the SYN-ACK, at the hook nearest the client.
    acknowledged: Option<Instant>,
}

impl Opening {
    /// A SYN or SYN-ACK. Of those that were sent again, the first counts.
    pub(super) fn passes(&mut self, hook: Hook, at: Instant) {
        match self.passed.iter_mut().find(|(known, _)| *known == hook) {
            Some((_, first)) => *first = at.min(*first),
            None => self.passed.push((hook, at)),
        }
    }

    /// The ACK of a SYN-ACK.
    pub(super) fn acknowledge(&mut self, at: Instant) {
        self.acknowledged = Some(self.acknowledged.map_or(at, |first| first.min(at)));
    }

    /// A SYN passes the hook nearest the client first and the one nearest the server last; a SYN-ACK the other way round.
    pub(super) fn handshake(&self, low_is_client: bool) -> Option<Handshake> {
        let times = |from_client: bool| {
            let hooks = self.passed.iter();
            let hooks =
                hooks.filter(move |(hook, _)| (hook.from_low == low_is_client) == from_client);
            hooks.map(|(_, at)| *at)
        };
        let (first_syn, last_syn) = (times(true).min()?, times(true).max()?);
        let (first_answer, last_answer) = (times(false).min()?, times(false).max()?);
        Some(Handshake {
            answered: last_answer.since(first_syn),
            server: first_answer.since(last_syn),
            client: self.acknowledged.map(|at| at.since(last_answer)),
        })
    }
}
