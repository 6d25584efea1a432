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

use crate::{flow::Address, outcome::Outcome};

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
    let (offset, ether_type) = ethernet::parse(reader)?;
    match ether_type {
        ethernet::IPV4 => parse_ip(reader, offset, 4),
        ethernet::IPV6 => parse_ip(reader, offset, 6),
        ethernet::ARP => Err(arp::parse(reader, offset)),
        0..=ethernet::MAX_LENGTH => Err(Outcome::Llc),
        _ => Err(Outcome::OtherEthertype),
    }
}

/// Parses a packet from its IP header on, which stands at `offset` and is of `family` (4, else 6).
#[inline(always)]
pub fn parse_ip<R: Reader + ?Sized>(
    reader: &R,
    offset: u32,
    family: u8,
) -> Result<Packet, Outcome> {
    let mut packet = Packet::default();
    let offset = if family == 4 {
        ipv4::parse(reader, offset, &mut packet)?
    } else {
        ipv6::parse(reader, offset, &mut packet)?
    };
    let transport_len = match packet.protocol {
        protocol::TCP => tcp::parse(reader, offset, &mut packet)?,
        protocol::UDP => udp::parse(reader, offset, &mut packet)?,
        protocol::ICMP if packet.family == 4 => icmp::parse(reader, offset, &mut packet)?,
        protocol::ICMPV6 if packet.family == 6 => icmpv6::parse(reader, offset, &mut packet)?,
        _ => 0,
    };
    packet.header_len = offset + transport_len;
    Ok(packet)
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
}

#[cfg(test)]
mod tests;
