//! What etherparse makes of a packet, in the words of netwatch. Nothing is put right here: where the two mean different
//! things, `promise.rs` says so.

use etherparse::{
    ArpHardwareId, ArpOperation, EtherType, Ipv6ExtensionSlice, LaxNetSlice, LaxSlicedPacket,
    LinkSlice, TransportSlice, err::packet::SliceError,
};
use netwatch_common::{
    flow::{Address, family},
    outcome::Outcome,
    parse::{Packet, fragment},
};

/// Where a part of the packet begins or ends.
struct Places<'a>(&'a [u8]);

impl Places<'_> {
    fn start(&self, part: &[u8]) -> u32 {
        u32::try_from(part.as_ptr().addr() - self.0.as_ptr().addr()).expect("a part of the packet")
    }
}

/// What etherparse says of the packet as a whole.
pub fn read(bytes: &[u8]) -> Result<Packet, Outcome> {
    let places = Places(bytes);
    let sliced = LaxSlicedPacket::from_ethernet(bytes).map_err(|_| Outcome::Truncated)?;
    let mut packet = Packet::default();
    if let Some(LinkSlice::Ethernet2(link)) = &sliced.link {
        packet.source_mac = link.source();
    }
    let stop = sliced.stop_err.as_ref().map(|(error, _)| outcome(error));
    // Before anything else: etherparse 0.21 reads on behind extension headers that it stopped at.
    if let Some(stop) = stop {
        return Err(stop);
    }
    let Some(net) = &sliced.net else {
        return Err(other(&sliced));
    };
    match net {
        LaxNetSlice::Arp(arp) => {
            let known = arp.hw_addr_type() == ArpHardwareId::ETHERNET
                && arp.proto_addr_type() == EtherType::IPV4
                && (arp.hw_addr_size(), arp.proto_addr_size()) == (6, 4)
                && [ArpOperation::REQUEST, ArpOperation::REPLY].contains(&arp.operation());
            if !known {
                return Err(Outcome::Arp);
            }
            packet.family = family::ARP;
            packet.icmp_type = u8::try_from(arp.operation().0).expect("1 or 2");
            packet.source = v4(arp.sender_protocol_addr().try_into().expect("four bytes"));
            packet.destination = v4(arp.target_protocol_addr().try_into().expect("four bytes"));
            packet.header_len = places.start(arp.slice()) + 28;
            packet.end = packet.header_len;
        }
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            packet.family = family::IPV4;
            packet.traffic_class = header.dcp().value() << 2 | header.ecn().value();
            packet.ttl = header.ttl();
            packet.source = v4(header.source());
            packet.destination = v4(header.destination());
            packet.protocol = ip.payload_ip_number().0;
            packet.end = places.start(header.slice()) + u32::from(header.total_len());
            packet.fragment = part(header.fragments_offset().value(), header.more_fragments());
            packet.fragment_id = u32::from(header.identification());
            packet.header_len = places.start(ip.payload().payload);
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            packet.family = family::IPV6;
            packet.traffic_class = header.traffic_class();
            packet.ttl = header.hop_limit();
            packet.source = v6(header.source());
            packet.destination = v6(header.destination());
            packet.protocol = ip.payload().ip_number.0;
            packet.end = places.start(header.slice()) + 40 + u32::from(header.payload_length());
            for extension in ip.extensions().clone() {
                if let Ipv6ExtensionSlice::Fragment(header) = extension {
                    packet.fragment =
                        part(header.fragment_offset().value(), header.more_fragments());
                    packet.fragment_id = header.identification();
                }
            }
            packet.header_len = places.start(ip.payload().payload);
        }
    }
    if packet.fragment == fragment::NONE {
        packet.fragment_id = 0;
    }
    if let Some(transport) = &sliced.transport {
        read_transport(&places, transport, &mut packet);
    }
    Ok(packet)
}

fn read_transport(places: &Places, transport: &TransportSlice, packet: &mut Packet) {
    let (kind, code, bytes5to8, slice) = match transport {
        TransportSlice::Udp(udp) => {
            packet.source_port = udp.source_port();
            packet.destination_port = udp.destination_port();
            packet.header_len += 8;
            return;
        }
        TransportSlice::Tcp(tcp) => {
            packet.source_port = tcp.source_port();
            packet.destination_port = tcp.destination_port();
            packet.tcp_sequence = tcp.sequence_number().to_be();
            packet.tcp_acknowledgment = tcp.acknowledgment_number().to_be();
            packet.tcp_window = tcp.window_size();
            let flags = [
                tcp.fin(),
                tcp.syn(),
                tcp.rst(),
                tcp.psh(),
                tcp.ack(),
                tcp.urg(),
                tcp.ece(),
                tcp.cwr(),
            ];
            packet.tcp_flags = flags.iter().rev().fold(0, |byte, flag| byte << 1 | u8::from(*flag));
            packet.header_len += u32::try_from(tcp.header_slice().len()).expect("a short header");
            return;
        }
        TransportSlice::Icmpv4(icmp) => {
            (icmp.type_u8(), icmp.code_u8(), icmp.bytes5to8(), icmp.slice())
        }
        TransportSlice::Icmpv6(icmp) => {
            (icmp.type_u8(), icmp.code_u8(), icmp.bytes5to8(), icmp.slice())
        }
        TransportSlice::Igmp(_) => return,
    };
    packet.icmp_type = kind;
    packet.icmp_code = code;
    packet.header_len += 8;
    let (echoes, quotes): (&[u8], &[u8]) = match transport {
        TransportSlice::Icmpv4(_) => (&[0, 8], &[3, 4, 5, 11, 12]),
        _ => (&[128, 129], &[1, 2, 3, 4]),
    };
    if echoes.contains(&kind) {
        let [a, b, c, d] = bytes5to8;
        packet.source_port = u16::from_be_bytes([a, b]);
        packet.destination_port = packet.source_port;
        packet.echo_sequence = u16::from_be_bytes([c, d]);
    }
    if quotes.contains(&kind) {
        packet.quoted_at = places.start(slice) + 8;
    }
}

/// Why the packet is nothing that etherparse reads.
fn other(sliced: &LaxSlicedPacket) -> Outcome {
    match sliced.ether_payload().map(|payload| payload.ether_type.0) {
        Some(0..0x600) => Outcome::Llc,
        _ => Outcome::OtherEthertype,
    }
}

fn outcome(error: &SliceError) -> Outcome {
    use etherparse::err::ip::HeaderError;
    match error {
        SliceError::Ipv4(_)
        | SliceError::Ip(HeaderError::Ipv4HeaderLengthSmallerThanHeader { .. }) => {
            Outcome::BadIpv4Header
        }
        SliceError::Ipv6(_) => Outcome::BadIpv6Header,
        SliceError::Tcp(_) => Outcome::BadTcpHeader,
        SliceError::Ipv6Exts(_) => Outcome::Ipv6ExtensionLimit,
        _ => Outcome::Truncated,
    }
}

fn part(offset: u16, more: bool) -> u8 {
    match (offset, more) {
        (0, false) => fragment::NONE,
        (0, true) => fragment::FIRST,
        _ => fragment::LATER,
    }
}

fn v4(octets: [u8; 4]) -> Address {
    Address::from_v4_word(u32::from_ne_bytes(octets))
}

fn v6(octets: [u8; 16]) -> Address {
    let (doubles, _) = octets.as_chunks::<8>();
    Address([0, 1].map(|at| u64::from_ne_bytes(doubles[at])))
}
