//! What is known from packets themselves: their sizes, from samples, and DNS.

use super::{catalogue::Metric, family::Families};
use crate::model::{ContainerSizes, Snapshot};

/// Adds packet sizes and DNS counts.
pub(super) fn collect(snapshot: &Snapshot, families: &mut Families) {
    for sizes in &snapshot.sizes {
        self::sizes(sizes, families);
    }
    for (client, counts) in &snapshot.dns {
        families.add(Metric::DnsQueries, [client], counts.queries);
        for (rcode, count) in &counts.responses {
            families.add(Metric::DnsResponses, [client, rcode], *count);
        }
    }
    for (client, times) in &snapshot.times.lookups {
        families.times(Metric::DnsLookupSeconds, [client], times);
    }
    families.add(Metric::DnsMessages, [], snapshot.agent.messages);
    for (reason, count) in snapshot.agent.messages_lost {
        families.add(Metric::DnsMessagesLost, [reason], count);
    }
}

fn sizes(sizes: &ContainerSizes, families: &mut Families) {
    for (direction, histogram) in [("receive", sizes.receive), ("transmit", sizes.transmit)] {
        let buckets: Vec<_> =
            histogram.cumulative().map(|(bound, count)| (f64::from(bound), count)).collect();
        families.histogram(
            Metric::ContainerPacketSize,
            [&*sizes.container, &*sizes.network, direction],
            &buckets,
            super::family::to_f64(histogram.bytes()),
            histogram.count(),
        );
    }
}
