//! The one packet parser: the kernel programs, the tests and the agent all run this code.
//!
//! It reads headers through a [`Reader`], one protocol a file, and never loops without a bound. It answers with what a
//! flow needs to know of the packet, or with the [`Outcome`] under which the packet is counted instead.

mod arp;
mod authentication;
mod common;
mod ethernet;
pub mod fragment;
mod geneve;
mod icmp;
mod icmpv6;
mod ipv4;
mod ipv6;
mod llc;
mod plain;
mod quoted;
mod sctp;
mod tcp;
mod udp;
mod vlan;
mod vxlan;

use crate::{
    flow::{Address, family},
    outcome::Outcome,
};

/// Access to the bytes of a packet, from the Ethernet header on.
pub trait Reader {
    /// `N` bytes that are known to be there.
    type Header<const N: usize>: Header;

    /// The `N` bytes at `offset`, or `None` where the packet (or the readable part of it) ends before. They are good until
    /// the next call: a reader may have room for one header only.
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

    /// Six bytes: an Ethernet address.
    #[inline(always)]
    fn mac(self, at: usize) -> [u8; 6] {
        let ([a, b, c, d], [e, f]) = (self.word(at).to_ne_bytes(), self.u16(at + 4).to_be_bytes());
        [a, b, c, d, e, f]
    }
}

/// What a flow needs to know of a packet. Offsets and lengths are in bytes; offsets count from the reader's first byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// Source address; the sender of ARP.
    pub source: Address,
    /// Destination address; whom ARP asks for, or answers.
    pub destination: Address,
    /// Source port, or the identifier of an ICMP echo, or 0.
    pub source_port: u16,
    /// Destination port, or the identifier of an ICMP echo, or 0.
    pub destination_port: u16,
    /// IP protocol number behind extension and authentication headers; 0 for ARP. Of a later fragment it is what its IP
    /// headers say, which names an extension header where the first fragment goes on with one.
    pub protocol: u8,
    /// One of [`family`].
    pub family: u8,
    /// One of [`fragment`]. A later fragment has no ports.
    pub fragment: u8,
    /// The low byte of the TCP flags, 0 for other protocols.
    pub tcp_flags: u8,
    /// ICMP or ICMPv6 type, the operation of ARP, 0 for other protocols.
    pub icmp_type: u8,
    /// ICMP or ICMPv6 code.
    pub icmp_code: u8,
    /// Sequence number of an ICMP echo.
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
    /// The identification that a fragment shares with the others of its packet; 0 for what is no fragment.
    pub fragment_id: u32,
    /// Ethernet address of the sender.
    pub source_mac: [u8; 6],
    /// Where the headers end, from Ethernet to the transport header: what segmentation repeats on the wire. Of a later
    /// fragment: where its data begins.
    pub header_len: u32,
    /// Where the IP packet ends: padding of a short frame lies behind.
    pub end: u32,
    /// Where the IP header begins that an ICMP error or redirect quotes, for [`quoted`]; 0 = nowhere.
    pub quoted_at: u32,
    /// Where the Ethernet frame begins that is inside VXLAN or Geneve, for [`parse_at`]; 0 = nowhere.
    pub inner_at: u32,
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
    /// Stream Control Transmission Protocol.
    pub const SCTP: u8 = 132;
    /// Lightweight User Datagram Protocol.
    pub const UDP_LITE: u8 = 136;
}

pub use arp::{REPLY as ARP_REPLY, REQUEST as ARP_REQUEST};
pub use common::{common, common_transport};
pub use icmp::{ECHO_REPLY, ECHO_REQUEST};
pub use icmpv6::{ECHO_REPLY as ECHO_REPLY_V6, ECHO_REQUEST as ECHO_REQUEST_V6};
pub use plain::{Headers, Visitor, plain};
pub use quoted::{fill_in_quoted, quoted};
pub use tcp::flags as tcp_flags;

/// Parses a packet from its Ethernet header on.
#[inline(always)]
pub fn parse<R: Reader + ?Sized>(reader: &R) -> Result<Packet, Outcome> {
    parse_at(reader, 0)
}

/// Parses the packet whose Ethernet header begins at `start`: the inner one of a tunnel. A tunnel in it is announced in
/// its turn; how far to follow is the caller's decision.
#[inline(always)]
pub fn parse_at<R: Reader + ?Sized>(reader: &R, start: u32) -> Result<Packet, Outcome> {
    let mut packet = Packet::default();
    fill_in(reader, start, &mut packet)?;
    Ok(packet)
}

/// [`parse_at`] into a default `packet` that is in memory already: the kernel programs have no stack to spare. After an
/// error it is filled in as far as it was read.
#[inline(always)]
pub fn fill_in<R: Reader + ?Sized>(
    reader: &R,
    start: u32,
    packet: &mut Packet,
) -> Result<(), Outcome> {
    let frame = ethernet::parse(reader, start)?;
    packet.source_mac = frame.source_mac;
    let at = frame.next;
    // Where the packet ends if its length says 0, which states no length; see `Packet::payload_len`.
    let (offset, unstated_end) = match frame.ether_type {
        ethernet::IPV4 => (ipv4::parse(reader, at, packet)?, at),
        ethernet::IPV6 => (ipv6::parse(reader, at, packet)?, at + ipv6::HEADER),
        ethernet::ARP => (arp::parse(reader, at, packet)?, at),
        0..=ethernet::MAX_LENGTH => return Err(Outcome::Llc),
        _ => return Err(Outcome::OtherEthertype),
    };
    packet.header_len = offset + transport(reader, offset, packet)?;
    if packet.header_len > packet.end && packet.end != unstated_end {
        return Err(Outcome::Truncated);
    }
    Ok(())
}

/// The same from the IP header on, which stands at `offset` and is of this `family` ([`family::IPV4`], else IPv6).
#[inline(always)]
pub fn fill_in_ip<R: Reader + ?Sized>(
    reader: &R,
    offset: u32,
    family: u8,
    packet: &mut Packet,
) -> Result<(), Outcome> {
    let next = if family == family::IPV4 {
        ipv4::parse(reader, offset, packet)?
    } else {
        ipv6::parse(reader, offset, packet)?
    };
    packet.header_len = next + transport(reader, next, packet)?;
    Ok(())
}

/// Reads the transport header; answers with its length. Protocols without a parser are flows without ports: IGMP, GRE,
/// ESP and whatever else there is.
#[inline(always)]
fn transport<R: Reader + ?Sized>(
    reader: &R,
    offset: u32,
    packet: &mut Packet,
) -> Result<u32, Outcome> {
    if packet.fragment == fragment::LATER {
        return Ok(0);
    }
    match packet.protocol {
        protocol::TCP => tcp::parse(reader, offset, packet),
        protocol::UDP | protocol::UDP_LITE => udp::parse(reader, offset, packet),
        protocol::SCTP => sctp::parse(reader, offset, packet),
        protocol::ICMP if packet.family == family::IPV4 => icmp::parse(reader, offset, packet),
        protocol::ICMPV6 if packet.family == family::IPV6 => icmpv6::parse(reader, offset, packet),
        _ => Ok(0),
    }
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

    #[inline(always)]
    fn header<const N: usize>(&self, offset: u32) -> Option<[u8; N]> {
        let start = offset as usize;
        self.get(start..start.checked_add(N)?)?.try_into().ok()
    }
}

impl<const N: usize> Header for [u8; N] {
    #[inline(always)]
    fn u8(self, at: usize) -> u8 {
        self[at]
    }

    #[inline(always)]
    fn u16(self, at: usize) -> u16 {
        u16::from_be_bytes([self[at], self[at + 1]])
    }

    #[inline(always)]
    fn word(self, at: usize) -> u32 {
        u32::from_ne_bytes([self[at], self[at + 1], self[at + 2], self[at + 3]])
    }

    #[inline(always)]
    fn double(self, at: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self[at..at + 8]);
        u64::from_ne_bytes(bytes)
    }
}

#[cfg(test)]
mod tests;
