//! A sampled packet.

use bytes::Bytes;

use super::{EntrySide, Instant};

/// One packet in `rate`, with its first bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When it passed.
    pub time: Instant,
    /// The interface it passed.
    pub ifindex: u32,
    /// The hook.
    pub side: EntrySide,
    /// Length of the skb from the Ethernet header on.
    pub len: u32,
    /// The rate in force: it stands for this many packets.
    pub rate: u32,
    /// Its first bytes, from the Ethernet header on.
    pub bytes: Bytes,
}
