//! How the series of a scrape are shared out among what has names.

use super::{SizeHistogram, TimeHistogram};

/// Netwatch's own series, which are the same on every host.
const OWN: usize = 400;
/// Buckets apart, what a histogram has: the bucket without a bound, sum and count.
const HISTOGRAM: usize = 3;

/// Series of each kind of thing.
const EDGE: usize = 6;
const INTERFACE: usize = 8;
const CONTAINER: usize = 4;
const SIZES: usize = 2 * (SizeHistogram::BOUNDS.len() + HISTOGRAM);
const TIMES: usize = TimeHistogram::BOUNDS.len() + HISTOGRAM;

/// DNS messages of all others: their queries, and their answers of each code that has a name.
const RCODES: usize = 30;

/// How many of each have series of their own. All together, with those in which the others are folded, they are never more
/// than `--metrics.max-series`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// Edges between clients and servers.
    pub edges: usize,
    /// Interfaces.
    pub interfaces: usize,
    /// Containers, in each of their networks.
    pub containers: usize,
    /// Series that tell who is who: of containers, of interfaces, and of what is out of sight.
    pub infos: [usize; 3],
    /// Containers with sizes of packets, in each of their networks.
    pub sizes: usize,
    /// Names with times of each of three kinds.
    pub times: usize,
    /// Series of DNS messages.
    pub dns: usize,
    /// Series of drops.
    pub drops: usize,
    /// Series of packets that did not arrive.
    pub undelivered: usize,
}

impl Shares {
    /// The least that can be shared out.
    pub const LEAST: u32 = 1_000;

    /// Of so many series.
    pub fn of(series: usize) -> Self {
        let named = series.saturating_sub(OWN);
        // What is folded takes the place of one.
        let share = |percent: usize, each: usize| (named * percent / 100 / each).saturating_sub(1);
        Self {
            edges: share(33, EDGE),
            interfaces: share(11, INTERFACE),
            containers: share(9, CONTAINER),
            infos: [share(6, 1), share(2, 1), share(1, 1)],
            sizes: share(11, SIZES),
            times: share(20, 3 * TIMES),
            dns: share(3, 1).saturating_sub(RCODES),
            drops: share(3, 1),
            undelivered: share(1, 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_together_are_no_more_than_there_may_be() {
        for most in [1_000, 1_234, 10_000, 1_000_000] {
            let shares = Shares::of(most);
            let Shares { edges, interfaces, containers, infos, sizes, times, .. } = shares;
            let Shares { dns, drops, undelivered, .. } = shares;
            let all = [
                OWN,
                (edges + 1) * EDGE,
                (interfaces + 1) * INTERFACE,
                (containers + 1) * CONTAINER,
                infos.iter().sum(),
                (sizes + 1) * SIZES,
                (times + 1) * 3 * TIMES,
                dns + RCODES,
                drops + 1,
                undelivered + 1,
            ];
            let sum: usize = all.iter().sum();
            assert!(sum <= most && sum > most * 4 / 5, "{sum} of {most}");
        }
        let Shares { edges, interfaces, containers, sizes, times, .. } = Shares::of(10_000);
        assert_eq!((edges, interfaces, containers, sizes, times), (527, 131, 215, 36, 28));
    }
}
