//! Packets that are easily misread, each with its name.

const A4: [u8; 4] = [172, 17, 0, 2];
const B4: [u8; 4] = [172, 17, 0, 3];
const A6: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
const B6: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3];

const TAG: &[u8] = &[0x81, 0x00, 0x20, 0x05];
const SERVICE_TAG: &[u8] = &[0x88, 0xa8, 0x00, 0x07];
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;

/// A frame with tags, or SNAP, in front of its type.
fn ethernet(between: &[u8], packet: &[u8]) -> Vec<u8> {
    let kind = if packet[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] };
    [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1], between, &kind, packet].concat()
}

/// IPv4 with options of so many words.
fn ipv4(options: u8, flags_and_offset: u16, protocol: u8, rest: &[u8]) -> Vec<u8> {
    let options = vec![1; usize::from(options) * 4];
    let total = length(20 + options.len() + rest.len());
    let [high, low] = flags_and_offset.to_be_bytes();
    let words = 0x45 + u8::try_from(options.len() / 4).unwrap();
    let fixed = [words, 0xb8, total[0], total[1], 0x12, 0x34, high, low, 61, protocol, 0, 0];
    [&fixed[..], &A4, &B4, &options, rest].concat()
}

/// IPv6 with these extension headers, of eight bytes each, in front of the protocol.
fn ipv6(extensions: &[u8], place: u16, protocol: u8, rest: &[u8]) -> Vec<u8> {
    let kinds = [extensions, &[protocol]].concat();
    let mut payload = Vec::new();
    for pair in kinds.windows(2) {
        let [high, low] = place.to_be_bytes();
        payload.extend(match pair[0] {
            FRAGMENT => vec![pair[1], 0, high, low, 0, 0, 0x12, 0x34],
            AUTHENTICATION => [vec![pair[1], 4, 0, 0], vec![9; 20]].concat(),
            // Type 4: segment routing has segments left, and a parser for it; 253 is for experiments.
            ROUTING => vec![pair[1], 0, 253, 0, 0, 0, 0, 0],
            _ => vec![pair[1], 0, 1, 4, 0, 0, 0, 0],
        });
    }
    payload.extend(rest);
    let total = length(payload.len());
    [&[0x6b, 0x80, 0, 0, total[0], total[1], kinds[0], 61], &A6[..], &B6, &payload].concat()
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap().to_be_bytes()
}

/// TCP with options of so many words, and as many bytes behind it.
fn tcp(options: u8, payload: usize) -> Vec<u8> {
    let fixed = [0x9c, 0x40, 0xc3, 0x50, 1, 2, 3, 4, 5, 6, 7, 8, (5 + options) << 4, 0x18, 3, 0xe8];
    [&fixed[..], &[0; 4], &vec![1; usize::from(options) * 4], &vec![0; payload]].concat()
}

fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let total = length(8 + payload.len());
    [&[0x9c, 0x40], &port.to_be_bytes()[..], &total, &[0, 0], payload].concat()
}

/// A message of ICMP or ICMPv6 with identifier or unused field 7, sequence number 9.
fn icmp(kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    [&[kind, code, 0, 0, 0, 7, 0, 9], rest].concat()
}

/// All of them.
pub fn all() -> Vec<(&'static str, Vec<u8>)> {
    let mut all = vec![
        ("TCP with options", ethernet(&[], &ipv4(0, 0x4000, 6, &tcp(10, 100)))),
        ("TCP in a padded frame", padded(ethernet(&[], &ipv4(0, 0x4000, 6, &tcp(0, 0))))),
        ("a jumbo frame", ethernet(&[], &ipv4(0, 0x4000, 6, &tcp(3, 8_934)))),
        ("a jumbo datagram", ethernet(&[], &ipv4(0, 0, 17, &udp(50_000, &[0; 8_972])))),
        ("a jumbo frame of IPv6", ethernet(&[], &ipv6(&[], 0, 6, &tcp(3, 8_928)))),
        ("a tagged jumbo frame", ethernet(TAG, &ipv4(0, 0x4000, 6, &tcp(10, 8_920)))),
        (
            "a jumbo frame behind extension headers",
            ethernet(&[], &ipv6(&[HOP_BY_HOP, DESTINATION], 0, 17, &udp(50_000, &[0; 8_936]))),
        ),
        ("a jumbo fragment", ethernet(&[], &ipv4(0, 0x2462, 17, &[0; 8_976]))),
        ("the longest IPv4 packet", ethernet(&[], &ipv4(0, 0, 17, &udp(50_000, &[0; 65_507])))),
        ("a tag", ethernet(TAG, &ipv4(0, 0, 6, &tcp(0, 20)))),
        ("a tag in front of IPv6", ethernet(TAG, &ipv6(&[], 0, 17, &udp(50_000, &[0; 9])))),
        ("QinQ", ethernet(&[SERVICE_TAG, TAG].concat(), &ipv4(2, 0, 6, &tcp(1, 20)))),
        ("two customer tags", ethernet(&[TAG, TAG].concat(), &ipv4(0, 0, 17, &udp(50_000, &[])))),
        ("SNAP", snap(&ipv4(0, 0, 17, &udp(50_000, &[1; 40])))),
        ("UDP-Lite", ethernet(&[], &ipv4(0, 0, 136, &udp(50_000, &[0; 4])))),
        ("SCTP", ethernet(&[], &ipv4(1, 0, 132, &sctp()))),
        ("SCTP over IPv6", ethernet(&[], &ipv6(&[DESTINATION], 0, 132, &sctp()))),
        ("ESP", ethernet(&[], &ipv4(0, 0, 50, &[1; 40]))),
        ("GRE", ethernet(&[], &ipv4(0, 0, 47, &[0, 0, 0x88, 0xb5, 0, 0, 0, 0]))),
        ("IGMP", ethernet(&[], &ipv4(1, 0, 2, &[0x16, 0, 0, 0, 239, 1, 2, 3]))),
        ("echo", ethernet(&[], &ipv4(0, 0, 1, &icmp(8, 0, &[0; 56])))),
        ("echo reply of ICMPv6", ethernet(&[], &ipv6(&[], 0, 58, &icmp(129, 0, &[0; 56])))),
        (
            "authentication",
            ethernet(&[], &ipv4(0, 0, 51, &[&[6, 4, 0, 0], &[9; 20][..], &tcp(0, 5)].concat())),
        ),
        ("a first fragment", ethernet(&[], &ipv4(0, 0x2000, 17, &udp(50_000, &[0; 1_472])))),
        ("a later fragment", ethernet(&[], &ipv4(0, 0x20b9, 17, &[0; 1_480]))),
        ("a last fragment with options", ethernet(TAG, &ipv4(3, 0x0172, 6, &[0; 33]))),
    ];
    for words in [1, 5, 10] {
        all.push(("IPv4 options", ethernet(&[], &ipv4(words, 0x4000, 17, &udp(50_000, &[0; 12])))));
    }
    for chain in [
        &[HOP_BY_HOP][..],
        &[ROUTING],
        &[DESTINATION],
        &[AUTHENTICATION],
        &[FRAGMENT],
        &[HOP_BY_HOP, DESTINATION, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION],
    ] {
        all.push(("extension headers", ethernet(&[], &ipv6(chain, 0, 6, &tcp(2, 30)))));
    }
    let first = ipv6(&[HOP_BY_HOP, FRAGMENT], 1, 17, &udp(50_000, &[0; 1_000]));
    let later = ipv6(&[HOP_BY_HOP, FRAGMENT], 0x05a9, 17, &[0; 1_000]);
    all.push(("a first fragment of IPv6", ethernet(&[], &first)));
    all.push(("a later fragment of IPv6", ethernet(&[], &later)));
    all.extend(tunnels());
    all.extend(messages());
    all.extend(arp());
    all
}

fn padded(mut frame: Vec<u8>) -> Vec<u8> {
    frame.resize(60, 0);
    frame
}

fn snap(packet: &[u8]) -> Vec<u8> {
    let length = length(8 + packet.len());
    ethernet(&[length[0], length[1], 0xaa, 0xaa, 3, 0, 0, 0], packet)
}

fn sctp() -> Vec<u8> {
    let heartbeat = [4, 0, 0, 8, 0, 1, 0, 4];
    [&[0x9c, 0x40, 0xc3, 0x50, 0, 0, 0, 1, 0, 0, 0, 0][..], &heartbeat].concat()
}

fn tunnels() -> Vec<(&'static str, Vec<u8>)> {
    let vxlan = [8, 0, 0, 0, 0, 0, 42, 0];
    let geneve = [&[2, 0, 0x65, 0x58, 0, 0, 42, 0][..], &[1, 2, 3, 1, 0, 0, 0, 0]].concat();
    let inner = ethernet(&[], &ipv6(&[DESTINATION], 0, 6, &tcp(3, 40)));
    let tagged = ethernet(TAG, &ipv4(2, 0, 1, &icmp(8, 0, &[0; 20])));
    let jumbo = ethernet(&[], &ipv4(0, 0x4000, 6, &tcp(3, 8_868)));
    vec![
        (
            "a jumbo frame in VXLAN",
            ethernet(&[], &ipv4(0, 0, 17, &udp(4789, &[&vxlan[..], &jumbo].concat()))),
        ),
        ("VXLAN", ethernet(&[], &ipv4(0, 0, 17, &udp(4789, &[&vxlan[..], &inner].concat())))),
        (
            "VXLAN, old port",
            ethernet(TAG, &ipv4(1, 0, 17, &udp(8472, &[&vxlan[..], &tagged].concat()))),
        ),
        (
            "VXLAN over IPv6",
            ethernet(&[], &ipv6(&[], 0, 17, &udp(4789, &[&vxlan[..], &tagged].concat()))),
        ),
        ("Geneve", ethernet(&[], &ipv4(0, 0, 17, &udp(6081, &[geneve, inner].concat())))),
    ]
}

fn messages() -> Vec<(&'static str, Vec<u8>)> {
    let quoted = ipv4(2, 0x4000, 6, &tcp(0, 100));
    let quoted6 = ipv6(&[DESTINATION], 0, 17, &udp(50_000, &[0; 100]));
    vec![
        ("port unreachable", ethernet(&[], &ipv4(0, 0, 1, &icmp(3, 3, &quoted[..36])))),
        ("time exceeded", ethernet(&[], &ipv4(1, 0, 1, &icmp(11, 0, &quoted[..48])))),
        ("packet too big", ethernet(&[], &ipv6(&[], 0, 58, &icmp(2, 0, &quoted6)))),
    ]
}

fn arp() -> Vec<(&'static str, Vec<u8>)> {
    let packet = |operation: u8, source: [u8; 4], destination: [u8; 4]| {
        let mac = [2, 0, 0, 0, 0, 1];
        let fixed = [0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, operation];
        padded([&[0xff; 6][..], &mac, &fixed, &mac, &source, &[0; 6], &destination].concat())
    };
    vec![
        ("ARP request", packet(1, A4, B4)),
        ("ARP reply", packet(2, B4, A4)),
        ("ARP probe", packet(1, [0; 4], A4)),
    ]
}
