//! Times: the kernel's monotonic nanoseconds, and what they are on the wall.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// `CLOCK_MONOTONIC` in nanoseconds, the clock of the kernel side.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Instant(pub u64);

impl Instant {
    /// The time from `earlier` to here; zero if it is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// So long after this; the end of time where it is beyond that.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(u64::try_from(duration.as_nanos()).map_or(u64::MAX, |ns| self.0.saturating_add(ns)))
    }
}

/// Nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(pub i128);

/// Translates monotonic times; measured anew by the agent, so that records follow the wall clock when it is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Wall time minus monotonic time, in nanoseconds.
    pub offset_ns: i128,
}

/// Both clocks are slewed alike, so only setting the wall clock parts them. What measurements differ by beyond that is their own
/// fault, and must not give the same packet another time in the next line.
const SET_BY_NS: u128 = 1_000_000;

impl Clock {
    /// What holds after another measurement: the same as before, unless the wall clock was set.
    #[must_use]
    pub fn or_set(self, measured: Self) -> Self {
        let moved = measured.offset_ns.abs_diff(self.offset_ns);
        if moved < SET_BY_NS { self } else { measured }
    }

    /// The wall time of an instant.
    pub fn wall(self, instant: Instant) -> WallTime {
        WallTime(self.offset_ns + i128::from(instant.0))
    }

    /// The instant of a wall time, at the limits of the monotonic clock where it is beyond them.
    pub fn instant(self, wall: WallTime) -> Instant {
        let ns = wall.0.saturating_sub(self.offset_ns).clamp(0, u64::MAX.into());
        Instant(u64::try_from(ns).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_moves_when_it_is_set_and_not_by_being_measured() {
        let clock = |offset_ns| Clock { offset_ns };
        assert_eq!(clock(5_000_000).or_set(clock(5_999_999)), clock(5_000_000));
        assert_eq!(clock(5_000_000).or_set(clock(4_000_001)), clock(5_000_000));
        assert_eq!(clock(5_000_000).or_set(clock(6_000_000)), clock(6_000_000));
        assert_eq!(clock(5_000_000).or_set(clock(-i128::MAX)), clock(-i128::MAX));
    }
}
