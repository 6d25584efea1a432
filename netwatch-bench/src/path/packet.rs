//! The packets that the programs are run on, made by an independent library.

use anyhow::{Context as _, Result};
use etherparse::PacketBuilder;

use super::drive::Drive;

const MAC_A: [u8; 6] = [2, 0, 0, 0, 0, 1];
const MAC_B: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// The low bits vary.
const V4_A: [u8; 4] = [10, 32, 0, 0];
const V4_B: [u8; 4] = [10, 0, 0, 2];
const V6_A: [u8; 16] = [0xfd, 0, 0x6e, 0x77, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
const V6_B: [u8; 16] = [0xfd, 0, 0x6e, 0x77, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2];
const ETHERNET: u32 = 14;
/// Bytes behind the transport header.
const PAYLOAD: u32 = 100;
/// The destination's port, but of a question for the name server.
pub const HTTPS: u16 = 443;
const DNS: u16 = 53;

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// RFC 791.
    V4,
    /// RFC 8200.
    V6,
}

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Data on a connection whose beginning nobody saw.
    TcpData,
    /// The first packet of a connection.
    TcpSyn,
    /// A datagram to a port that means nothing to anybody.
    Udp,
    /// A question for the name server (RFC 1035, section 4).
    DnsQuery,
    /// A frame with a length in place of a type (IEEE 802.3): nothing that netwatch parses.
    Llc,
}

/// A packet and how the driver varies it.
pub struct Template {
    /// From the Ethernet header on.
    pub bytes: Vec<u8>,
    /// State of a driver that begins with it.
    pub drive: Drive,
}

/// A packet of one of `flows` flows.
pub fn template(kind: Kind, family: Family, flows: u32) -> Result<Template> {
    let bytes = bytes(kind, family)?;
    // The source's port, behind an IP header without options, and the last four bytes of its address.
    let (address_at, address_shift, ports_at) = match family {
        Family::V4 => (ETHERNET + 12, 0, ETHERNET + 20),
        Family::V6 => (ETHERNET + 16, 32, ETHERNET + 40),
    };
    let word = |at: u32| {
        let at = at as usize;
        let bytes = bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u64::from_le_bytes).context("a packet shorter than its headers")
    };
    let drive = Drive {
        flows,
        payload: if kind == Kind::TcpData { PAYLOAD } else { 0 },
        address_at,
        address_shift,
        ports_at,
        address: word(address_at)?,
        ports: word(ports_at)?,
        ..Drive::default()
    };
    Ok(Template { bytes, drive })
}

fn bytes(kind: Kind, family: Family) -> Result<Vec<u8>> {
    let ethernet = PacketBuilder::ethernet2(MAC_A, MAC_B);
    let ip = match family {
        Family::V4 => ethernet.ipv4(V4_A, V4_B, 64),
        Family::V6 => ethernet.ipv6(V6_A, V6_B, 64),
    };
    let payload = vec![0; PAYLOAD as usize];
    let mut bytes = Vec::new();
    match kind {
        // Source port and sequence number are the driver's to write, and have to be zero for it.
        Kind::TcpData => ip.tcp(0, HTTPS, 0, 64_000).ack(1).psh().write(&mut bytes, &payload)?,
        Kind::TcpSyn => ip.tcp(0, HTTPS, 0, 64_000).syn().write(&mut bytes, &[])?,
        Kind::Udp => ip.udp(0, HTTPS).write(&mut bytes, &payload)?,
        Kind::DnsQuery => ip.udp(0, DNS).write(&mut bytes, QUERY)?,
        Kind::Llc => {
            ip.udp(0, HTTPS).write(&mut bytes, &payload)?;
            // A length, and the sap and control bytes of spanning tree.
            bytes[12..17].copy_from_slice(&[0, 100, 0x42, 0x42, 3]);
        }
    }
    Ok(bytes)
}

/// `web.shop.example`, type A, recursion desired.
const QUERY: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03web\x04shop\x07example\x00\x00\x01\x00\x01";

#[cfg(test)]
mod tests {
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};

    use super::*;

    #[test]
    fn the_varying_parts_stand_where_the_driver_writes_them() {
        for family in [Family::V4, Family::V6] {
            for kind in [Kind::TcpData, Kind::TcpSyn, Kind::Udp, Kind::DnsQuery] {
                let Template { mut bytes, drive } = template(kind, family, 1).unwrap();
                let mut write = |at: u32, word: u64| {
                    bytes[at as usize..at as usize + 8].copy_from_slice(&word.to_le_bytes());
                };
                write(
                    drive.address_at,
                    drive.address | u64::from(7u32.to_be()) << drive.address_shift,
                );
                let sequence = u64::from(drive.payload.to_be()) << 32;
                write(drive.ports_at, drive.ports | u64::from(40_000u16.to_be()) | sequence);
                let packet = SlicedPacket::from_ethernet(&bytes).unwrap();
                let last = match packet.net.unwrap() {
                    NetSlice::Ipv4(ip) => ip.header().source()[3],
                    NetSlice::Ipv6(ip) => ip.header().source()[15],
                    NetSlice::Arp(_) => 0,
                };
                assert_eq!(last, 7);
                match packet.transport.unwrap() {
                    TransportSlice::Tcp(tcp) => {
                        assert_eq!((tcp.source_port(), tcp.destination_port()), (40_000, HTTPS));
                        assert_eq!(tcp.sequence_number(), drive.payload);
                    }
                    TransportSlice::Udp(udp) => {
                        assert_eq!(udp.source_port(), 40_000);
                        assert_eq!(usize::from(udp.length()), udp.slice().len());
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}
