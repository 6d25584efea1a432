//! Short flows that are told together.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{EndReason, FlowRecord};

/// Flows of one burst: the same client, server, protocol and server port, each begun and ended within a short time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fold {
    /// All of them added up. Its number and the client's port are the first one's; it has no handshake.
    pub sum: FlowRecord,
    /// How many they are.
    pub connections: u64,
    /// How they ended. What failed is never hidden among what went well.
    pub ends: BTreeMap<EndReason, u64>,
    /// How long the server took to answer, where that was seen.
    pub answered: Option<Answered>,
}

/// How long several connections waited for the answer to their SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// Connections whose handshake was seen.
    pub timed: u64,
    /// Half of them waited no longer.
    pub median: Duration,
    /// The longest wait.
    pub max: Duration,
}

impl Answered {
    /// Of waits in any order; `None` of none.
    pub fn of(mut waits: Vec<Duration>) -> Option<Self> {
        waits.sort_unstable();
        let max = *waits.last()?;
        let median = waits[(waits.len() - 1) / 2];
        Some(Self { timed: waits.len() as u64, median, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_wait_no_longer_than_the_median() {
        let of = |waits: &[u64]| {
            let waits = waits.iter().copied().map(Duration::from_millis).collect();
            Answered::of(waits)
                .map(|known| (known.timed, known.median.as_millis(), known.max.as_millis()))
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[7]), Some((1, 7, 7)));
        assert_eq!(of(&[9, 1]), Some((2, 1, 9)));
        assert_eq!(of(&[9, 1, 4]), Some((3, 4, 9)));
        assert_eq!(of(&[5, 9, 1, 4]), Some((4, 4, 9)));
    }
}
