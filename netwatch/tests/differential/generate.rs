//! Packets at random: well formed ones of every kind that the parser knows, and what is left of them after an accident.

use fastrand::Rng;

/// A packet from its Ethernet header on.
pub fn packet(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = frame(rng, 2);
    // Most accidents end in the headers.
    for _ in 0..rng.u32(0..12).saturating_sub(8) {
        accident(rng, &mut bytes);
    }
    if rng.u32(0..16) == 0 {
        bytes.resize(bytes.len().max(60), 0);
    }
    bytes.truncate(MOST);
    bytes
}

/// The kernel runs a program on at most a page, less what an skb needs around the packet.
const MOST: usize = 3_000;

fn frame(rng: &mut Rng, depth: u32) -> Vec<u8> {
    let (kind, rest) = network(rng, depth);
    let mut bytes = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, rng.u8(..)];
    let tags = if rng.u32(0..50) == 0 { 3 } else { pick(rng, &[0, 0, 0, 0, 0, 1, 1, 2]) };
    for _ in 0..tags {
        bytes.extend(pick(rng, &[[0x81, 0], [0x88, 0xa8]]));
        bytes.extend([rng.u8(..), rng.u8(..)]);
    }
    if rng.u32(0..200) == 0 {
        bytes.extend([0x91, 0, 0, 5]);
    }
    match rng.u32(0..40) {
        0 => {
            let length = u16::try_from(rest.len().min(1500)).unwrap_or_default();
            bytes.extend(length.to_be_bytes());
            bytes.extend(pick(
                rng,
                &[[0xaa, 0xaa, 3, 0, 0, 0], [0xaa, 0xaa, 3, 0, 0, 12], [0x42; 6]],
            ));
            bytes.extend(kind);
        }
        1 => bytes.extend(pick(rng, &[[0x88, 0xe5], [0x88, 0xcc], [0x05, 0xff], [0x06, 0x00]])),
        _ => bytes.extend(kind),
    }
    bytes.extend(rest);
    bytes
}

/// An Ethernet type and what belongs behind it.
fn network(rng: &mut Rng, depth: u32) -> ([u8; 2], Vec<u8>) {
    match rng.u32(0..20) {
        0 => ([0x08, 0x06], arp(rng)),
        1..11 => ([0x08, 0x00], ipv4(rng, depth)),
        _ => ([0x86, 0xdd], ipv6(rng, depth)),
    }
}

fn arp(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = vec![0, 1, 8, 0, 6, 4, 0, pick(rng, &[1, 1, 2, 3])];
    bytes.extend((0..20).map(|_| rng.u8(0..4)));
    bytes
}

fn ipv4(rng: &mut Rng, depth: u32) -> Vec<u8> {
    let options = pick(rng, &[0, 0, 0, 0, 0, 1, 5, 10]);
    let flags: u16 = pick(rng, &[0x4000, 0x4000, 0, 0, 0x2000, 0x2001, 7]);
    let (mut protocol, mut rest) = transport(rng, false, depth);
    if rng.u32(0..24) == 0 {
        rest.splice(0..0, authentication(rng, protocol));
        protocol = 51;
    }
    let length = u16::try_from(20 + options * 4 + rest.len()).unwrap_or_default();
    let mut bytes = vec![0x45 + u8::try_from(options).unwrap_or_default(), rng.u8(..)];
    bytes.extend(
        pick(rng, &[length, length, length, length, length, length, length, 0]).to_be_bytes(),
    );
    bytes.extend(identification(rng, flags & 0x1fff != 0).to_be_bytes());
    bytes.extend(flags.to_be_bytes());
    bytes.extend([rng.u8(..), protocol, 0, 0]);
    for _ in 0..2 {
        bytes.extend([172, 17, 0, rng.u8(2..6)]);
    }
    bytes.extend(vec![1; options * 4]);
    bytes.extend(rest);
    bytes
}

/// Of a later fragment odd, of a first one even: so hardly a fragment finds a first one by chance.
fn identification(rng: &mut Rng, later: bool) -> u16 {
    rng.u16(..) & !1 | u16::from(later)
}

fn ipv6(rng: &mut Rng, depth: u32) -> Vec<u8> {
    let (protocol, mut rest) = transport(rng, true, depth);
    let mut next = protocol;
    for _ in 0..pick(rng, &[0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 6, 7]) {
        let kind = pick(rng, &[0, 43, 44, 44, 51, 60, 60]);
        let header = match kind {
            44 => {
                let place: u16 = pick(rng, &[0, 1, 1, 8, 9, 6]);
                let [high, low] = identification(rng, place > 7).to_be_bytes();
                let [a, b] = place.to_be_bytes();
                vec![next, 0, a, b, 0, 7, high, low]
            }
            51 => authentication(rng, next),
            _ => {
                let eights = pick(rng, &[0, 0, 0, 1, 3]);
                [vec![next, eights], vec![1; usize::from(eights) * 8 + 6]].concat()
            }
        };
        rest.splice(0..0, header);
        next = kind;
    }
    let length = u16::try_from(rest.len()).unwrap_or_default();
    let mut bytes = vec![0x60 | rng.u8(0..16), rng.u8(..), 0, 0];
    bytes.extend(
        pick(rng, &[length, length, length, length, length, length, length, 0]).to_be_bytes(),
    );
    bytes.extend([next, rng.u8(..)]);
    for _ in 0..2 {
        bytes.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, rng.u8(2..6)]);
    }
    bytes.extend(rest);
    bytes
}

fn authentication(rng: &mut Rng, next: u8) -> Vec<u8> {
    let words = pick(rng, &[0, 1, 4, 4, 6]);
    [vec![next, words, 0, 0], vec![9; (usize::from(words) + 1) * 4]].concat()
}

/// A protocol number and its header with some payload.
fn transport(rng: &mut Rng, ipv6: bool, depth: u32) -> (u8, Vec<u8>) {
    let ports = [0x9c, rng.u8(0..8), 0, rng.u8(80..84)];
    let mut bytes = ports.to_vec();
    let protocol = match rng.u32(0..20) {
        0..6 => {
            let options = pick(rng, &[0, 0, 3, 10]);
            bytes.extend((0..8).map(|_| rng.u8(..)));
            bytes.extend([(5 + options) << 4, rng.u8(0..32), rng.u8(..), rng.u8(..), 0, 0, 0, 0]);
            bytes.extend(vec![1; usize::from(options) * 4]);
            6
        }
        6..11 => return (17, udp(rng, depth)),
        11..14 => return icmp(rng, ipv6, depth),
        14 => {
            bytes.extend([0; 4]);
            136
        }
        15 => {
            bytes.extend([0; 8]);
            132
        }
        16 => pick(rng, &[1, 58]),
        17 => pick(rng, &[2, 47, 50, 89, 4, 41]),
        18 => pick(rng, &[59, 135, 0, 255]),
        _ => rng.u8(..),
    };
    payload(rng, &mut bytes);
    (protocol, bytes)
}

fn udp(rng: &mut Rng, depth: u32) -> Vec<u8> {
    let mut rest = Vec::new();
    let port: u16 = match rng.u32(0..6) {
        0 if depth > 0 => {
            rest.extend([pick(rng, &[8, 8, 8, 0]), 0, 0, 0, 0, 0, 42, 0]);
            rest.extend(frame(rng, depth - 1));
            pick(rng, &[4789, 8472])
        }
        1 if depth > 0 => {
            let words = pick(rng, &[0, 0, 1, 63, 64]);
            rest.extend([words, 0, 0x65, pick(rng, &[0x58, 0x58, 0x59]), 0, 0, 42, 0]);
            rest.extend(vec![7; usize::from(words & 63) * 4]);
            rest.extend(frame(rng, depth - 1));
            6081
        }
        2 => pick(rng, &[4789, 6081, 8472]),
        _ => 53,
    };
    payload(rng, &mut rest);
    let length = u16::try_from(8 + rest.len()).unwrap_or_default();
    let mut bytes = vec![0x9c, rng.u8(0..8)];
    bytes.extend(port.to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(rest);
    bytes
}

/// An echo, or a message that may quote, or any other.
fn icmp(rng: &mut Rng, ipv6: bool, depth: u32) -> (u8, Vec<u8>) {
    let kinds: &[u8] = if ipv6 {
        &[128, 129, 1, 2, 3, 4, 137, 137, 135, 9]
    } else {
        &[8, 0, 3, 4, 5, 11, 12, 13, 14, 9]
    };
    let kind = pick(rng, kinds);
    let mut bytes = vec![kind, rng.u8(0..3), 0, 0, 0, rng.u8(1..4), 0, rng.u8(..)];
    if ipv6 && kind == 137 {
        bytes.extend([0; 32]);
        if rng.bool() {
            bytes.extend([2, 1, 2, 0, 0, 0, 0, 3]);
        }
        bytes.extend([4, 1, 0, 0, 0, 0, 0, 0]);
    }
    if depth > 0 && rng.u32(0..4) != 0 {
        let mut quoted = if ipv6 { self::ipv6(rng, depth - 1) } else { ipv4(rng, depth - 1) };
        quoted.truncate(pick(rng, &[28, 48, 128, 552]));
        bytes.extend(quoted);
    }
    (if ipv6 { 58 } else { 1 }, bytes)
}

fn payload(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let length = pick(rng, &[0, 0, 1, 20, 40]);
    bytes.extend((0..length).map(|_| rng.u8(..)));
}

/// Something happens to a packet, near its beginning.
fn accident(rng: &mut Rng, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let near = pick(rng, &[24, 60, 200]);
    let at = rng.usize(0..bytes.len().min(near));
    match rng.u32(0..8) {
        0 => bytes[at] ^= 1 << rng.u32(0..8),
        1 | 2 => bytes[at] = rng.u8(..),
        3 | 4 => bytes[at] = pick(rng, &[0, 1, 4, 6, 0x40, 0x7f, 0x80, 0xff]),
        5 => bytes.truncate(at),
        6 => drop(bytes.remove(at)),
        _ => {
            let upto = (at + rng.usize(1..9)).min(bytes.len());
            let again = bytes[at..upto].to_vec();
            bytes.splice(at..at, again);
        }
    }
}

fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(0..from.len())]
}
