//! The flow table: one entry per conversation, interface and CPU.
//!
//! An entry is oriented by the interface: *local* is the end that transmits into the ingress hook (on a veth port, the
//! container). `ingress` counts what local sent, `egress` what it was sent. So both directions of a conversation share
//! an entry, and a packet that crosses the same interface twice (a container that routes) never mixes with itself.

/// Values of [`FlowKey::family`].
pub mod family {
    /// Internet Protocol, version 4.
    pub const IPV4: u8 = 4;
    /// Internet Protocol, version 6.
    pub const IPV6: u8 = 6;
    /// Address Resolution Protocol for IPv4: who asks for whom.
    pub const ARP: u8 = 1;
    /// This bit: the packets travelled inside a tunnel, whose own flow has counted them already.
    pub const INNER: u8 = 0x80;
}

/// An IPv6 address, or an IPv4 address mapped into one (RFC 4291, section 2.5.5.2): the bytes of the packet in their
/// order, held as two words so that the kernel side copies and compares words.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Address(pub [u64; 2]);

impl Address {
    /// Maps an IPv4 address, given as the word that its four bytes make in memory.
    #[inline(always)]
    pub const fn from_v4_word(word: u32) -> Self {
        let prefix = u32::from_ne_bytes([0, 0, 0xff, 0xff]);
        if cfg!(target_endian = "little") {
            Self([0, prefix as u64 | (word as u64) << 32])
        } else {
            Self([0, (prefix as u64) << 32 | word as u64])
        }
    }

    /// The IPv4 address in it, as the word that its four bytes make in memory.
    #[inline(always)]
    pub const fn v4_word(self) -> u32 {
        if cfg!(target_endian = "little") {
            (self.0[1] >> 32) as u32
        } else {
            (self.0[1] & 0xffff_ffff) as u32
        }
    }

    /// The sixteen bytes in network order.
    pub const fn octets(self) -> [u8; 16] {
        let mut out = [0; 16];
        let mut i = 0;
        while i < 16 {
            out[i] = self.0[i / 8].to_ne_bytes()[i % 8];
            i += 1;
        }
        out
    }
}

/// What makes packets seen on one interface one flow.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FlowKey {
    /// Address of the end behind the interface: the words of an IPv6 [`Address`], else 0 and [`Address::v4_word`].
    pub local: [u64; 2],
    /// Address of the other end.
    pub remote: [u64; 2],
    /// Port of the local end as it stands in the packet, which is network byte order; the identifier for ICMP echo;
    /// otherwise 0.
    pub local_port: u16,
    /// The same of the remote end.
    pub remote_port: u16,
    /// Slot of the interface in the interface table.
    pub slot: u16,
    /// IP protocol number (IANA "Assigned Internet Protocol Numbers"); 0 for ARP.
    pub protocol: u8,
    /// One of [`family`].
    pub family: u8,
}

impl FlowKey {
    /// The words of an address in a key of this [`family`].
    #[inline(always)]
    pub const fn words(address: Address, family: u8) -> [u64; 2] {
        if family & !family::INNER == family::IPV6 {
            address.0
        } else {
            [0, address.v4_word() as u64]
        }
    }

    /// The key as the words that it is in memory: what the kernel side hashes and compares.
    pub const fn to_words(&self) -> [u64; WORDS] {
        let rest = if cfg!(target_endian = "little") {
            (self.local_port as u64)
                | (self.remote_port as u64) << 16
                | (self.slot as u64) << 32
                | (self.protocol as u64) << 48
                | (self.family as u64) << 56
        } else {
            (self.local_port as u64) << 48
                | (self.remote_port as u64) << 32
                | (self.slot as u64) << 16
                | (self.protocol as u64) << 8
                | self.family as u64
        };
        [self.local[0], self.local[1], self.remote[0], self.remote[1], rest]
    }

    /// The address that [`FlowKey::words`] made these of.
    pub const fn address(&self, words: [u64; 2]) -> Address {
        if self.family & !family::INNER == family::IPV6 {
            Address(words)
        } else {
            Address::from_v4_word((words[1] & 0xffff_ffff) as u32)
        }
    }
}

/// Words of a flow key.
pub const WORDS: usize = size_of::<FlowKey>() / 8;

/// Spreads keys evenly over 2^32 places that nobody can foresee who does not know the seeds (odd numbers).
///
/// Multilinear hashing (Lemire and Kaser, "Strongly universal string hashing is fast"): products that do not wait for each
/// other, and their sum, in the upper bits of which every bit of the key has a say. Ports that follow each other, as
/// those of one host's connections do, make an arithmetic progression of it, which one draw of seeds in sixteen lets fall on
/// few places: so it is folded and multiplied once more.
#[inline(always)]
pub fn spread(key: &[u64; WORDS], seeds: &[u64; WORDS]) -> u32 {
    let mut sum = 0u64;
    for word in 0..WORDS {
        sum = sum.wrapping_add(key[word].wrapping_mul(seeds[word]));
    }
    ((sum ^ sum >> 32).wrapping_mul(seeds[WORDS - 1]) >> 32) as u32
}

const _: () = assert!(size_of::<FlowKey>() == 40 && align_of::<FlowKey>() == 8);

/// Packets counted in three units.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Socket buffers (skbs), the unit of `ip -s link`. A GSO skb counts once.
    pub packets: u64,
    /// Packets on the wire: `gso_segs` for a GSO skb, else 1 per skb.
    pub segments: u64,
    /// Bytes on the wire from the Ethernet header on, with the headers that segmentation repeats.
    pub bytes: u64,
}

const _: () = assert!(size_of::<Tally>() == 24 && align_of::<Tally>() == 8);

/// What an entry of one protocol keeps in [`Half::detail`], by index.
pub mod detail {
    /// TCP: the sequence number behind the highest one seen.
    pub const NEXT: usize = 0;
    /// TCP: bytes below [`NEXT`] that were jumped over and have not come yet.
    pub const MISSING: usize = 1;
    /// TCP: segments whose bytes this hook had seen before.
    pub const RETRANSMITTED: usize = 2;
    /// TCP: segments that came after later ones.
    pub const OUT_OF_ORDER: usize = 3;
    /// ICMP echo: sequence number of the last request.
    pub const ECHO_SEQUENCE: usize = 0;
    /// ICMP echo: 1 while the last request has no reply.
    pub const ECHO_PENDING: usize = 1;
    /// ICMP echo: replies whose request was timed; [`super::FlowEntry::timing_ns`] is the sum of their times.
    pub const ECHO_TIMED: usize = 2;
}

/// Bits of [`Half::marks`].
pub mod mark {
    /// The first four bits: the ECN codepoint with this number was seen (RFC 3168, section 5: 0 not capable, 1 and 2
    /// capable, 3 congestion experienced).
    pub const ECN: u8 = 0x0f;
    /// TCP: its sender announced a window of zero (RFC 9293, section 3.8.6.1).
    pub const ZERO_WINDOW: u8 = 0x10;
    /// [`super::FlowEntry::source_mac`] is that of this direction.
    pub const SOURCE_MAC: u8 = 0x20;
    /// TCP: opened by a SYN whose SYN-ACK this direction has not acknowledged yet.
    pub const HANDSHAKE: u8 = 0x80;
    /// The next packet of this direction changes nothing but counts: it has begun, its handshake is done, and neither side
    /// has ended the connection.
    pub const USUAL: u8 = 0x40;
}

/// One direction of an entry.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Half {
    /// Socket buffers (skbs).
    pub packets: u64,
    /// Packets on the wire beyond one for each of these.
    pub more_segments: u64,
    /// Bytes on the wire, as [`Tally::bytes`].
    pub bytes: u64,
    /// `CLOCK_MONOTONIC` of the first packet, exact; 0 = none yet.
    pub first_ns: u64,
    /// `CLOCK_MONOTONIC` of the last packet, exact or as fresh as the kernel side's clock (about 10 ms).
    pub last_ns: u64,
    /// By protocol, see [`detail`].
    pub detail: [u32; 4],
    /// Bytes of the largest packet on the wire, Ethernet header included; 65,535 = that or more.
    pub largest: u16,
    /// Smallest time to live (hop limit).
    pub ttl_min: u8,
    /// Largest time to live (hop limit).
    pub ttl_max: u8,
    /// All TCP flags seen, or-ed together (RFC 9293, section 3.1; the low byte).
    pub tcp_flags: u8,
    /// Of the first packet: the TCP flags, the ICMP type or the ARP operation.
    pub opened_by: u8,
    /// DSCP and ECN of the last packet.
    pub traffic_class: u8,
    /// See [`mark`].
    pub marks: u8,
}

impl Half {
    /// What was counted.
    pub const fn tally(&self) -> Tally {
        Tally {
            packets: self.packets,
            segments: self.packets.wrapping_add(self.more_segments),
            bytes: self.bytes,
        }
    }
}

const _: () = assert!(size_of::<Half>() == 64 && align_of::<Half>() == 8);

/// An entry of the flow table.
///
/// Written by one CPU only, between two increments of `sequence`: a reader that finds it odd or changed reads again.
/// Three cache lines: what is looked up and changed seldom, and one for each direction.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowEntry {
    /// Even, and changed by each packet; odd while the entry is being written.
    pub sequence: u32,
    /// Counts the flows that this place has held; distinguishes them for the reader. It may wrap: far fewer records of
    /// flows that gave way fit into the ring.
    pub incarnation: u16,
    /// TCP: FIN and RST of both directions, or-ed together.
    pub ended: u8,
    /// Explicit padding.
    pub pad: u8,
    /// The flow.
    pub key: FlowKey,
    /// TCP: when the ACK of the SYN-ACK passed; 0 = not seen. ICMP echo: the sum of the times of all timed replies.
    pub timing_ns: u64,
    /// Source address of the Ethernet frame that opened the entry, as it stands in memory; [`mark::SOURCE_MAC`] says in
    /// which direction.
    pub source_mac: [u16; 3],
    /// ICMP type of the last error message that quoted a packet of this flow; 0 = none.
    pub error_type: u8,
    /// Its ICMP code.
    pub error_code: u8,
    /// Sent by the local end, seen at the ingress hook.
    pub ingress: Half,
    /// Sent to the local end, seen at the egress hook.
    pub egress: Half,
}

const _: () = assert!(size_of::<FlowEntry>() == 192 && align_of::<FlowEntry>() == 8);

impl FlowEntry {
    /// When the entry was last written; 0 for one that never was.
    #[inline(always)]
    pub const fn last_ns(&self) -> u64 {
        if self.ingress.last_ns > self.egress.last_ns {
            self.ingress.last_ns
        } else {
            self.egress.last_ns
        }
    }
}

/// What goes out through the ring when an entry has to give way to another flow.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvictedFlow {
    /// Index of the entry in the flow table.
    pub index: u32,
    /// Explicit padding.
    pub pad: u32,
    /// The entry as it was.
    pub entry: FlowEntry,
}

const _: () = assert!(size_of::<EvictedFlow>() == 200 && align_of::<EvictedFlow>() == 8);

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;

    use super::*;

    /// The numbers of SplitMix64 (Steele, Lea and Flood): the same at each run.
    fn numbers() -> impl FnMut() -> u64 {
        let mut state = 0u64;
        move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = state;
            word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            word ^ word >> 31
        }
    }

    /// The key's words are its memory.
    #[test]
    fn the_words_of_a_key_are_those_in_memory() {
        let key = FlowKey {
            local: [0x0123_4567_89ab_cdef, 2],
            remote: [3, 4],
            local_port: 0x5678,
            remote_port: 0x9abc,
            slot: 0xdef0,
            protocol: 0x12,
            family: 0x34,
        };
        let word = 0x3412_def0_9abc_5678_u64;
        assert_eq!(key.to_words()[..4], [0x0123_4567_89ab_cdef, 2, 3, 4]);
        assert_eq!(key.to_words()[4].to_le(), word.to_le());
    }

    /// Of 10,000 flows in 65,536 places some two find their set full where all sets are equally likely. Sums of products
    /// alone left more than a hundred without a place with nine of 150 draws of seeds, and with one of them seven thousand.
    #[test]
    fn ports_that_follow_each_other_spread_over_all_sets() {
        const WAYS: u32 = 5;
        const SETS: usize = (1 << 16) / WAYS as usize;
        let mut number = numbers();
        for step in [1, 2, 256, 257] {
            for draw in 0..100 {
                let seeds = [(); WORDS].map(|()| number() | 1);
                let fixed = [number(), number(), number(), number(), number() & !0xffff_ffff];
                let mut sets = vec![0u32; SETS];
                let mut crowded = 0;
                for flow in 0..10_000u64 {
                    let mut key = fixed;
                    key[WORDS - 1] |= flow * step;
                    let set = &mut sets[(spread(&key, &seeds) as usize * SETS) >> 32];
                    *set += 1;
                    crowded += u32::from(*set > WAYS);
                }
                assert!(crowded < 50, "{crowded} at step {step}, draw {draw}: {seeds:x?}");
            }
        }
    }
}
