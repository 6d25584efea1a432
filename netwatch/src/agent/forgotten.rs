//! What an agent that was killed had read out of the kernel, and took with it.

use crate::model::Tally;

/// After so many readings it is said how much was forgotten, as far as that is sure by then.
const READINGS: u32 = 5;

/// Packets that an earlier agent had counted in flows and not written down.
#[derive(Default)]
pub(super) struct Forgotten {
    known: Tally,
    /// Packets in no flow at each reading: these, and some that were on their way just then.
    least: Option<Tally>,
    readings: u32,
    is_exact: bool,
}

impl Forgotten {
    /// There was no earlier agent.
    pub(super) fn nothing() -> Self {
        Self { is_exact: true, ..Self::default() }
    }

    /// What it said that those before it had; of its own there may be more.
    pub(super) fn by_others(known: Tally) -> Self {
        Self { known, ..Self::default() }
    }

    /// As far as that is sure.
    pub(super) fn known(&self) -> Tally {
        self.known
    }

    /// Whether it is sure that there is no more.
    pub(super) fn is_exact(&self) -> bool {
        self.is_exact
    }

    /// Takes up how many packets were in no flow, and for no reason, at a reading. `is_quiet`: none were on their way.
    pub(super) fn settle(&mut self, missing: Tally, is_quiet: bool) {
        let least = self.least.map_or(missing, |least| least.min(missing));
        self.least = Some(least);
        self.readings += 1;
        if is_quiet {
            self.known = self.known.max(missing);
        } else if self.readings == READINGS {
            self.known = self.known.max(least);
        }
        self.is_exact = is_quiet;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(packets: u64) -> Tally {
        Tally { packets, segments: packets, bytes: packets * 100 }
    }

    #[test]
    fn what_is_on_its_way_is_not_forgotten() {
        let mut forgotten = Forgotten::default();
        for missing in [90, 50, 70, 60] {
            forgotten.settle(packets(missing), false);
            assert_eq!(forgotten.known, Tally::ZERO, "it may turn out to be less");
        }
        forgotten.settle(packets(80), false);
        assert_eq!((forgotten.known, forgotten.is_exact), (packets(50), false));
        forgotten.settle(packets(40), false);
        forgotten.settle(packets(55), true);
        assert_eq!((forgotten.known, forgotten.is_exact), (packets(55), true));
    }

    #[test]
    fn in_a_silence_it_is_known_at_once() {
        let mut forgotten = Forgotten::by_others(packets(7));
        forgotten.settle(packets(9), true);
        assert_eq!(forgotten.known, packets(9));
    }
}
