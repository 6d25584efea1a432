//! The one packet parser: the kernel programs, the tests and the agent all run this code.
//!
//! It reads headers through a [`Reader`], one protocol a file, and never loops without a bound. It answers with what a
//! flow needs to know of the packet, or with the [`Outcome`] under which the packet is counted instead.

mod arp;
mod ethernet;
mod icmp;
mod icmpv6;
mod ipv4;
mod ipv6;
mod tcp;
mod udp;

use crate::{
    flow::{Address, family},
    outcome::Outcome,
};

/// Access to the bytes of a packet, from the Ethernet header on.
pub trait Reader {
    /// `N` bytes that are known to be there.
    type Header<const N: usize>: Header;

    /// The `N` bytes at `offset`, or `None` where the packet (or the readable part of it) ends before.
    fn header<const N: usize>(&self, offset: u32) -> Option<Self::Header<N>>;
}

/// The bytes of one header. `at` must lie within the header: the callers pass constants.
pub trait Header: Copy {
    /// One byte.
    fn u8(self, at: usize) -> u8;
    /// Two bytes in network order, as a number.
    fn u16(self, at: usize) -> u16;
    /// Four bytes as they stand in memory.
    fn word(self, at: usize) -> u32;
    /// Eight bytes as they stand in memory.
    fn double(self, at: usize) -> u64;
}

/// What a flow needs to know of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// Source port, or the identifier of an ICMP echo, or 0.
    pub source_port: u16,
    /// Destination port, or the identifier of an ICMP echo, or 0.
    pub destination_port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// 4 or 6.
    pub family: u8,
    /// The low byte of the TCP flags, 0 for other protocols.
    pub tcp_flags: u8,
    /// ICMP or ICMPv6 type, 0 for other protocols.
    pub icmp_type: u8,
    /// Sequence number of an ICMP echo, else 0.
    pub echo_sequence: u16,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// The byte with DSCP (upper six bits, RFC 2474) and ECN (lower two, RFC 3168).
    pub traffic_class: u8,
    /// TCP window as it stands in the header, not scaled; 0 for other protocols.
    pub tcp_window: u16,
    /// TCP sequence number as it stands in memory: `u32::from_be` makes a number of it.
    pub tcp_sequence: u32,
    /// TCP acknowledgment number, likewise.
    pub tcp_acknowledgment: u32,
    /// Bytes of all headers from Ethernet to the transport header: what segmentation repeats on the wire.
    pub header_len: u32,
    /// Where the IP packet ends, counted from the Ethernet header: padding of a short frame lies behind.
    pub end: u32,
}

impl Packet {
    /// Bytes behind the transport header, by the length that the IP header states.
    ///
    /// 0 where it states none: a jumbogram (RFC 2675), or a GSO skb above 64 KiB ("BIG TCP"), whose headers get their
    /// lengths with segmentation. Whoever finds 0 with `gso_size` set takes what `skb->len` leaves.
    #[inline(always)]
    pub const fn payload_len(&self) -> u32 {
        self.end.saturating_sub(self.header_len)
    }
}

/// IP protocol numbers that have a parser here.
pub mod protocol {
    /// Internet Control Message Protocol.
    pub const ICMP: u8 = 1;
    /// Transmission Control Protocol.
    pub const TCP: u8 = 6;
    /// User Datagram Protocol.
    pub const UDP: u8 = 17;
    /// Internet Control Message Protocol for IPv6.
    pub const ICMPV6: u8 = 58;
}

pub use icmp::{ECHO_REPLY, ECHO_REQUEST};
pub use icmpv6::{ECHO_REPLY as ECHO_REPLY_V6, ECHO_REQUEST as ECHO_REQUEST_V6};
pub use tcp::flags as tcp_flags;

/// Parses a packet from its Ethernet header on.
#[inline(always)]
pub fn parse<R: Reader + ?Sized>(reader: &R) -> Result<Packet, Outcome> {
    transport(reader, network(reader)?)
}

/// The first half: everything in front of the transport header, whose offset is `header_len` so far.
#[inline(always)]
pub fn network<R: Reader + ?Sized>(reader: &R) -> Result<Packet, Outcome> {
    let (offset, ether_type) = ethernet::parse(reader)?;
    match ether_type {
        ethernet::IPV4 => ipv4::parse(reader, offset),
        ethernet::IPV6 => ipv6::parse(reader, offset),
        ethernet::ARP => Err(arp::parse(reader, offset)),
        0..=ethernet::MAX_LENGTH => Err(Outcome::Llc),
        _ => Err(Outcome::OtherEthertype),
    }
}

/// The same from the IP header on, which stands at `offset` and is of `family` (4, else 6).
#[inline(always)]
pub fn parse_ip<R: Reader + ?Sized>(
    reader: &R,
    offset: u32,
    family: u8,
) -> Result<Packet, Outcome> {
    let packet = if family == family::IPV4 {
        ipv4::parse(reader, offset)?
    } else {
        ipv6::parse(reader, offset)?
    };
    transport(reader, packet)
}

/// The second half: the transport header.
#[inline(always)]
pub fn transport<R: Reader + ?Sized>(reader: &R, mut packet: Packet) -> Result<Packet, Outcome> {
    let offset = packet.header_len;
    packet.header_len += match packet.protocol {
        protocol::TCP => tcp::parse(reader, offset, &mut packet)?,
        protocol::UDP => udp::parse(reader, offset, &mut packet)?,
        protocol::ICMP if packet.family == family::IPV4 => {
            icmp::parse(reader, offset, &mut packet)?
        }
        protocol::ICMPV6 if packet.family == family::IPV6 => {
            icmpv6::parse(reader, offset, &mut packet)?
        }
        _ => 0,
    };
    Ok(packet)
}

/// Ports stand at the same place in every transport header that has them. One word is read for both.
#[inline(always)]
fn ports<H: Header>(header: H, packet: &mut Packet) {
    let ports = u32::from_be(header.word(0));
    packet.source_port = (ports >> 16) as u16;
    packet.destination_port = (ports & 0xffff) as u16;
}

/// A packet in a slice: what user space parses.
impl Reader for [u8] {
    type Header<const N: usize> = [u8; N];

    fn header<const N: usize>(&self, offset: u32) -> Option<[u8; N]> {
        let start = offset as usize;
        self.get(start..start.checked_add(N)?)?.try_into().ok()
    }
}

impl<const N: usize> Header for [u8; N] {
    fn u8(self, at: usize) -> u8 {
        self[at]
    }

    fn u16(self, at: usize) -> u16 {
        u16::from_be_bytes([self[at], self[at + 1]])
    }

    fn word(self, at: usize) -> u32 {
        u32::from_ne_bytes([self[at], self[at + 1], self[at + 2], self[at + 3]])
    }

    fn double(self, at: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self[at..at + 8]);
        u64::from_ne_bytes(bytes)
    }
}

#[cfg(test)]
mod tests;
