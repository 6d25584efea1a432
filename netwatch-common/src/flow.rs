//! The flow table: one entry per conversation, interface and CPU.
//!
//! An entry is oriented by the interface: *local* is the end that transmits into the ingress hook (on a veth port, the
//! container). `ingress` counts what local sent, `egress` what it was sent. So both directions of a conversation share
//! an entry, and a packet that crosses the same interface twice (a container that routes) never mixes with itself.

/// An IPv6 address, or an IPv4 address mapped into one (RFC 4291, section 2.5.5.2): the bytes of the packet in their
/// order, held as four words so that the kernel side copies words.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Address(pub [u32; 4]);

impl Address {
    /// Maps an IPv4 address, given as the word that its four bytes make in memory.
    #[inline(always)]
    pub const fn from_v4_word(word: u32) -> Self {
        Self([0, 0, u32::from_ne_bytes([0, 0, 0xff, 0xff]), word])
    }

    /// The sixteen bytes in network order.
    pub const fn octets(self) -> [u8; 16] {
        let mut out = [0; 16];
        let mut i = 0;
        while i < 16 {
            out[i] = self.0[i / 4].to_ne_bytes()[i % 4];
            i += 1;
        }
        out
    }
}

/// What the addresses of a flow are; the numbers are the versions of IP.
pub mod family {
    /// ARP: the addresses of IPv4 that it asks for.
    pub const ARP: u8 = 1;
    /// IPv4.
    pub const IPV4: u8 = 4;
    /// IPv6.
    pub const IPV6: u8 = 6;
}

/// What makes packets seen on one interface one flow.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FlowKey {
    /// Address of the end behind the interface.
    pub local: Address,
    /// Address of the other end.
    pub remote: Address,
    /// Port of the local end, host byte order; the identifier for ICMP echo; otherwise 0.
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

/// One direction of an entry.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Half {
    /// What was counted.
    pub tally: Tally,
    /// `CLOCK_MONOTONIC` of the first packet, exact; 0 = none yet.
    pub first_ns: u64,
    /// `CLOCK_MONOTONIC` of the last packet, as fresh as [`crate::config::Settings::clock_ns`].
    pub last_ns: u64,
    /// All TCP flags seen, or-ed together (RFC 9293, section 3.1; the low byte).
    pub tcp_flags: u8,
    /// ICMP type of the first packet.
    pub icmp_type: u8,
    /// Explicit padding.
    pub pad: [u8; 6],
}

const _: () = assert!(size_of::<Half>() == 48 && align_of::<Half>() == 8);

/// An entry of the flow table.
///
/// Written by one CPU only. `sequence` is odd while the entry is being written: a reader that finds it odd or changed
/// reads again.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowEntry {
    /// Sequence number; 0 = never used.
    pub sequence: u32,
    /// Counts the flows that this place has held; distinguishes them for the reader.
    pub incarnation: u32,
    /// The flow.
    pub key: FlowKey,
    /// Sent by the local end, seen at the ingress hook.
    pub ingress: Half,
    /// Sent to the local end, seen at the egress hook.
    pub egress: Half,
}

const _: () = assert!(size_of::<FlowEntry>() == 144 && align_of::<FlowEntry>() == 8);

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

const _: () = assert!(size_of::<EvictedFlow>() == 152 && align_of::<EvictedFlow>() == 8);
