//! A sampled packet.

use std::sync::Arc;

use bytes::Bytes;
use netwatch_common::outcome::Outcome;
use serde::{Deserialize, Serialize};

use super::{Endpoint, EntrySide, Instant, Protocol, Socket};

/// One packet in `rate`, with its first bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// When it passed, exactly.
    pub time: Instant,
    /// The interface it passed.
    pub ifindex: u32,
    /// The hook.
    pub side: EntrySide,
    /// Length of the skb from the Ethernet header on.
    pub len: u32,
    /// Bytes of the packets that it is on the wire, with the headers that segmentation repeats.
    pub wire_len: u32,
    /// Packets that it is on the wire.
    pub segments: u32,
    /// Bytes behind the headers of each of them but the last; 0 for a packet that stays one.
    pub gso_size: u32,
    /// The rate in force: it stands for this many packets.
    pub rate: u32,
    /// Its first bytes, from the Ethernet header on.
    pub bytes: Bytes,
}

impl Sample {
    /// The packets that it is on the wire: their size, Ethernet header included, and how many have it. Segmentation
    /// makes all but the last equally long.
    pub fn sizes(&self) -> [(u32, u32); 2] {
        let full = self.segments.saturating_sub(1);
        if full == 0 {
            return [(self.wire_len, 1), (0, 0)];
        }
        let header = self.wire_len.saturating_sub(self.len) / full;
        let size = header.saturating_add(self.gso_size);
        let last = self.wire_len.saturating_sub(size.saturating_mul(full));
        [(size, full), (last, 1)]
    }
}

/// What the headers of a packet say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Transport protocol.
    pub protocol: Protocol,
    /// Who sent it.
    pub source: Socket,
    /// To whom.
    pub destination: Socket,
}

/// The same with names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampledPacket {
    /// Transport protocol.
    pub protocol: Protocol,
    /// Who sent it.
    pub source: Endpoint,
    /// To whom.
    pub destination: Endpoint,
}

/// A line about a sample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleEvent {
    /// The sample.
    pub sample: Sample,
    /// Name of the interface; `None` if it is gone.
    pub interface: Option<String>,
    /// Network (Docker's name for it) of the interface; `None` where unknown.
    pub network: Option<Arc<str>>,
    /// The packet, or why its headers cannot be read.
    pub packet: Result<SampledPacket, Outcome>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(len: u32, header: u32, segments: u32, gso_size: u32) -> [(u32, u32); 2] {
        let sample = Sample {
            time: Instant(0),
            ifindex: 1,
            side: EntrySide::Ingress,
            len,
            wire_len: len + (segments - 1) * header,
            segments,
            gso_size,
            rate: 1,
            bytes: Bytes::new(),
        };
        sample.sizes()
    }

    #[test]
    fn a_gso_packet_is_as_many_as_it_will_be() {
        assert_eq!(sizes(98, 42, 1, 0), [(98, 1), (0, 0)]);
        assert_eq!(sizes(3054, 54, 3, 1000), [(1054, 2), (1054, 1)]);
        assert_eq!(sizes(66 + 2 * 1448 + 10, 66, 3, 1448), [(1514, 2), (76, 1)]);
    }

    #[test]
    fn figures_that_do_not_fit_together_do_no_harm() {
        assert_eq!(sizes(10, 54, 3, u32::MAX), [(u32::MAX, 2), (0, 1)]);
        assert_eq!(sizes(0, 0, u32::MAX, 1), [(1, u32::MAX - 1), (0, 1)]);
    }
}
