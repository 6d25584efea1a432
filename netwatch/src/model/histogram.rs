//! How large packets are.

use super::Sample;

/// Packets on the wire by their size, Ethernet header included: an estimate, since each sample stands for as many
/// packets as its rate says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SizeHistogram {
    counts: [u64; Self::BOUNDS.len() + 1],
    bytes: u64,
}

impl SizeHistogram {
    /// Upper bounds in bytes. Powers of two for small packets, then the largest packet at the usual MTUs: IPv6's least
    /// (1,280), an overlay network's (1,450), Ethernet's (1,500) without and with a VLAN tag, jumbo frames (9,000), the
    /// loopback device's (65,535).
    pub const BOUNDS: [u32; 11] = [64, 128, 256, 512, 1024, 1294, 1464, 1514, 1518, 9014, 65_549];

    /// Adds the packets that a sample stands for.
    pub fn add(&mut self, sample: &Sample) {
        for (size, count) in sample.sizes() {
            let count = u64::from(count) * u64::from(sample.rate);
            let bucket = Self::BOUNDS.partition_point(|bound| *bound < size);
            self.counts[bucket] += count;
            self.bytes += count * u64::from(size);
        }
    }

    /// Adds another one.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.bytes += other.bytes;
    }

    /// How many packets are at most as large as each bound.
    pub fn cumulative(&self) -> impl Iterator<Item = (u32, u64)> {
        Self::BOUNDS.into_iter().zip(self.counts).scan(0, |sum, (bound, count)| {
            *sum += count;
            Some((bound, *sum))
        })
    }

    /// All packets.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::model::{EntrySide, Instant};

    #[test]
    fn each_sample_weighs_its_rate_and_each_segment_counts() {
        let mut sample = Sample {
            time: Instant(0),
            ifindex: 1,
            side: EntrySide::Ingress,
            len: 64,
            wire_len: 64,
            segments: 1,
            gso_size: 0,
            rate: 1000,
            bytes: Bytes::new(),
        };
        let mut histogram = SizeHistogram::default();
        histogram.add(&sample);
        sample.wire_len = 65;
        histogram.add(&sample);
        // Two of 1,514 bytes and one of 76, in one skb.
        sample =
            Sample { len: 2972, wire_len: 3104, segments: 3, gso_size: 1448, rate: 10, ..sample };
        histogram.add(&sample);
        sample = Sample { wire_len: 100_000, segments: 1, ..sample };
        histogram.add(&sample);
        let cumulative: Vec<_> = histogram.cumulative().collect();
        assert_eq!(cumulative[..2], [(64, 1000), (128, 2010)]);
        assert_eq!(cumulative[6..8], [(1464, 2010), (1514, 2030)]);
        assert_eq!(cumulative.last(), Some(&(65_549, 2030)));
        assert_eq!(histogram.count(), 2040);
        assert_eq!(histogram.bytes(), 64_000 + 65_000 + 31_040 + 1_000_000);
        let mut twice = histogram;
        twice.merge(&histogram);
        assert_eq!((twice.count(), twice.bytes()), (4080, 2 * histogram.bytes()));
    }
}
