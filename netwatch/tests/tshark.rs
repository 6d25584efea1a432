//! The hard packets, read by netwatch and by tshark: addresses, ports, protocols, fragments and lengths are the same, also
//! of the frame in a tunnel and of the packet that an error message quotes. And real ones: as many, and as long, as tshark
//! sees on the wire.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

#[path = "tshark/packets.rs"]
mod packets;
#[path = "tshark/pdml.rs"]
mod pdml;
#[path = "tshark/wire.rs"]
mod wire;

use std::{
    fs,
    net::{IpAddr, Ipv6Addr},
    path::Path,
    process::Command,
};

use netwatch_common::{
    flow::{Address, family},
    parse::{self, Packet, fragment},
};
use pdml::Protocol;

/// What both say of a packet.
#[derive(Debug, PartialEq, Eq)]
struct Reading {
    source: IpAddr,
    destination: IpAddr,
    ports: (u32, u32),
    protocol: u8,
    ttl: u32,
    traffic_class: u32,
    fragment: (u8, u32),
    header_len: u32,
    end: u32,
    message: (u32, u32),
}

/// Transport protocols by the names and numbers that they have.
const TRANSPORTS: [(&str, u8); 9] = [
    ("tcp", 6),
    ("udp", 17),
    ("udplite", 136),
    ("sctp", 132),
    ("icmp", 1),
    ("icmpv6", 58),
    ("gre", 47),
    ("esp", 50),
    ("igmp", 2),
];

fn ours(packet: &Packet) -> Reading {
    let address = |address: Address| Ipv6Addr::from(address.octets()).to_canonical();
    Reading {
        source: address(packet.source),
        destination: address(packet.destination),
        ports: (packet.source_port.into(), packet.destination_port.into()),
        protocol: packet.protocol,
        ttl: packet.ttl.into(),
        traffic_class: packet.traffic_class.into(),
        fragment: (packet.fragment, packet.fragment_id),
        header_len: packet.header_len,
        end: packet.end,
        message: (packet.icmp_type.into(), packet.icmp_code.into()),
    }
}

/// What tshark says, of the first packet of IP or ARP from here on.
fn theirs(all: &[Protocol]) -> Reading {
    let is_network = |protocol: &Protocol| ["ip", "ipv6", "arp"].contains(&protocol.name.as_str());
    let first = all.iter().position(is_network).expect("an IP packet, or ARP");
    let network = &all[first];
    let behind = &all[first + 1..];
    let upto = behind.iter().position(|p| is_network(p) || p.name == "eth").unwrap_or(behind.len());
    let behind = &behind[..upto];
    let number = |field: &str| network.number(field);
    let address = |field: &str| network.show(field).map(|show| show.parse().expect("an address"));
    let either = |one: Option<IpAddr>, other: Option<IpAddr>| one.or(other).expect("an address");
    if network.name == "arp" {
        return Reading {
            source: address("arp.src.proto_ipv4").expect("an address"),
            destination: address("arp.dst.proto_ipv4").expect("an address"),
            ports: (0, 0),
            protocol: 0,
            ttl: 0,
            traffic_class: 0,
            fragment: (fragment::NONE, 0),
            header_len: network.offset + 28,
            end: network.offset + 28,
            message: (number("arp.opcode").expect("an operation"), 0),
        };
    }
    let end = network.offset
        + number("ip.len").or(number("ipv6.plen").map(|length| length + 40)).expect("a length");
    let fragment = fragment(network, behind);
    // A later fragment has data, whatever the protocol, and says which one that is of.
    let (ports, protocol, header_len, message) =
        if let Some((transport, protocol)) = transport(behind) {
            (ports(transport), protocol, transport.offset + length(transport), message(transport))
        } else {
            let data = behind.iter().find_map(|p| p.number("data.len")).expect("data");
            let last = behind.iter().rev().find_map(|p| p.number("ipv6.fraghdr.nxt"));
            let protocol = last.or(number("ip.proto")).expect("a protocol");
            ((0, 0), u8::try_from(protocol).unwrap(), end - data, (0, 0))
        };
    Reading {
        source: either(address("ip.src"), address("ipv6.src")),
        destination: either(address("ip.dst"), address("ipv6.dst")),
        ports,
        protocol,
        ttl: number("ip.ttl").or(number("ipv6.hlim")).expect("a hop limit"),
        traffic_class: number("ip.dsfield").or(number("ipv6.tclass")).expect("a traffic class"),
        fragment,
        header_len,
        end,
        message,
    }
}

/// The first protocol that is a transport, and its number.
fn transport(all: &[Protocol]) -> Option<(&Protocol, u8)> {
    all.iter().find_map(|protocol| {
        let known = TRANSPORTS.iter().find(|(name, _)| *name == protocol.name)?;
        Some((protocol, known.1))
    })
}

fn fragment(network: &Protocol, behind: &[Protocol]) -> (u8, u32) {
    let header = behind.iter().find(|protocol| protocol.name == "ipv6.fraghdr");
    let number = |four: &str, six: &str| match header {
        Some(header) => header.number(six),
        None => network.number(four),
    };
    let id = number("ip.id", "ipv6.fraghdr.ident").unwrap_or(0);
    match (
        number("ip.frag_offset", "ipv6.fraghdr.offset").unwrap_or(0),
        number("ip.flags.mf", "ipv6.fraghdr.more").unwrap_or(0),
    ) {
        (0, 0) => (fragment::NONE, 0),
        (0, _) => (fragment::FIRST, id),
        _ => (fragment::LATER, id),
    }
}

fn ports(transport: &Protocol) -> (u32, u32) {
    // UDP-Lite has the fields of UDP.
    let prefix = if transport.name == "udplite" { "udp" } else { transport.name.as_str() };
    let port = |end: &str| transport.number(&format!("{prefix}.{end}"));
    let identifier = transport.number("icmp.ident").or(transport.number("icmpv6.echo.identifier"));
    match (port("srcport"), port("dstport"), identifier) {
        (Some(source), Some(destination), _) => (source, destination),
        (.., Some(identifier)) => (identifier, identifier),
        _ => (0, 0),
    }
}

/// How long the header is that netwatch takes for one.
fn length(transport: &Protocol) -> u32 {
    match transport.name.as_str() {
        "tcp" => transport.number("tcp.hdr_len").unwrap_or(8),
        "udp" | "udplite" | "icmp" | "icmpv6" => 8,
        "sctp" => 12,
        _ => 0,
    }
}

fn message(transport: &Protocol) -> (u32, u32) {
    let number = |four: &str, six: &str| transport.number(four).or(transport.number(six));
    (
        number("icmp.type", "icmpv6.type").unwrap_or(0),
        number("icmp.code", "icmpv6.code").unwrap_or(0),
    )
}

/// A capture file (the classic format of libpcap) of Ethernet frames.
fn write_pcap<'a>(file: &Path, frames: impl Iterator<Item = &'a [u8]>) {
    const MAGIC: u32 = 0xa1b2_c3d4;
    const VERSION: u32 = 2 | 4 << 16;
    const ETHERNET: u32 = 1;
    let words =
        |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
    let mut bytes = words(&[MAGIC, VERSION, 0, 0, 1 << 18, ETHERNET]);
    for frame in frames {
        let length = u32::try_from(frame.len()).unwrap();
        bytes.extend(words(&[1, 0, length, length]));
        bytes.extend(frame);
    }
    fs::write(file, bytes).expect("a writable folder");
}

fn tshark(file: &Path) -> String {
    let output = Command::new("tshark")
        .args(["-n", "-T", "pdml", "-r"])
        .arg(file)
        // Each packet by itself; and the port of VXLAN that Linux used before there was one.
        .args(["-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"])
        .args(["-d", "udp.port==8472,vxlan"])
        .output()
        .expect("tshark starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
#[ignore = "needs tshark: cargo xtask test"]
fn the_hard_packets_read_as_tshark_reads_them() {
    let frames = packets::all();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("hard.pcap");
    write_pcap(&file, frames.iter().map(|(_, frame)| frame.as_slice()));
    let read = pdml::packets(&tshark(&file));
    assert_eq!(read.len(), frames.len());
    let (mut inner, mut quoted) = (0, 0);
    for ((name, frame), protocols) in frames.iter().zip(&read) {
        let packet = parse::parse(&frame[..]).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(ours(&packet), theirs(protocols), "{name}");
        if packet.inner_at != 0 {
            inner += 1;
            let at = protocols.iter().rposition(|protocol| protocol.name == "eth").unwrap();
            assert_eq!(protocols[at].offset, packet.inner_at, "{name}");
            let packet = parse::parse_at(&frame[..], packet.inner_at).expect("a frame in a tunnel");
            assert_eq!(ours(&packet), theirs(&protocols[at..]), "inside {name}");
        }
        if packet.quoted_at != 0 {
            quoted += 1;
            let version = if packet.family == family::IPV4 { "ip" } else { "ipv6" };
            let at = protocols.iter().rposition(|protocol| protocol.name == version).unwrap();
            assert_eq!(protocols[at].offset, packet.quoted_at, "{name}");
            let quotation = parse::quoted(&frame[..], packet.quoted_at, packet.family).unwrap();
            let promised = Reading { header_len: quotation.header_len, ..theirs(&protocols[at..]) };
            assert_eq!(ours(&quotation), promised, "quoted by {name}");
        }
    }
    assert_eq!((inner, quoted), (5, 3), "tunnels and quotations among them");
}
