//! What netwatch promises to say of a packet, written down a second time: by hand, and without any of its code.

use std::collections::BTreeSet;

use netwatch_common::{
    flow::{Address, family},
    outcome::Outcome,
    parse::{Packet, fragment},
};

use crate::rules::Rule;

/// What is promised of a packet, and the rules that had a part in it.
pub fn read(bytes: &[u8]) -> (Result<Packet, Outcome>, BTreeSet<Rule>) {
    let mut reading = Reading { bytes, packet: Packet::default(), rules: BTreeSet::new() };
    let answer = reading.frame();
    let packet = reading.packet;
    if answer.is_ok() && packet.header_len as usize > bytes.len() {
        reading.rules.insert(Rule::SkippedUnread);
    }
    (answer.map(|()| packet), reading.rules)
}

struct Reading<'a> {
    bytes: &'a [u8],
    packet: Packet,
    rules: BTreeSet<Rule>,
}

impl Reading<'_> {
    fn read<const N: usize>(&self, at: u32) -> Result<[u8; N], Outcome> {
        let rest = self.bytes.get(at as usize..).ok_or(Outcome::Truncated)?;
        rest.first_chunk().copied().ok_or(Outcome::Truncated)
    }

    fn u8(&self, at: u32) -> Result<u8, Outcome> {
        self.read(at).map(|[byte]| byte)
    }

    fn u16(&self, at: u32) -> Result<u16, Outcome> {
        self.read(at).map(u16::from_be_bytes)
    }

    /// Notes a rule.
    fn by(&mut self, rule: Rule) {
        self.rules.insert(rule);
    }

    fn frame(&mut self) -> Result<(), Outcome> {
        let mut kind = self.u16(12)?;
        self.packet.source_mac = self.read(6)?;
        let mut at = 14;
        for _ in 0..2 {
            if [0x8100, 0x88a8].contains(&kind) {
                kind = self.u16(at + 2)?;
                at += 4;
            }
        }
        if kind < 0x600 {
            self.by(Rule::Llc);
            if self.read(at)? != [0xaa, 0xaa, 3] {
                return Err(Outcome::Llc);
            }
            let header: [u8; 8] = self.read(at)?;
            if header[3..6] != [0, 0, 0] {
                return Err(Outcome::Llc);
            }
            kind = u16::from_be_bytes([header[6], header[7]]);
            at += 8;
        }
        match kind {
            0x0800 => self.ipv4(at),
            0x86dd => self.ipv6(at),
            0x0806 => self.arp(at),
            0..0x600 => Err(Outcome::Llc),
            _ => {
                match kind {
                    0x8100 | 0x88a8 | 0x9100 => self.by(Rule::Tags),
                    0x88e5 => self.by(Rule::Macsec),
                    _ => {}
                }
                Err(Outcome::OtherEthertype)
            }
        }
    }

    fn arp(&mut self, at: u32) -> Result<(), Outcome> {
        let kind = self.read::<8>(at)?;
        if kind[..7] != [0, 1, 8, 0, 6, 4, 0] || !(1..=2).contains(&kind[7]) {
            self.by(Rule::ArpOfOtherKinds);
            return Err(Outcome::Arp);
        }
        self.packet.family = family::ARP;
        self.packet.icmp_type = kind[7];
        self.packet.destination = v4(self.read(at + 24)?);
        self.packet.source = v4(self.read(at + 14)?);
        self.packet.header_len = at + 28;
        self.packet.end = at + 28;
        Ok(())
    }

    fn ip_header<const N: usize>(&mut self, at: u32) -> Result<[u8; N], Outcome> {
        let header = self.read(at);
        if header.is_err() {
            self.by(Rule::CutHeader);
        }
        header
    }

    fn ipv4(&mut self, at: u32) -> Result<(), Outcome> {
        let header: [u8; 20] = self.ip_header(at)?;
        let length = u32::from(header[0] & 15) * 4;
        if header[0] >> 4 != 4 {
            self.by(Rule::VersionAgainstType);
            return Err(Outcome::BadIpv4Header);
        }
        if length < 20 {
            return Err(Outcome::BadIpv4Header);
        }
        let total = u32::from(u16::from_be_bytes([header[2], header[3]]));
        if total < length {
            self.by(Rule::LengthBelowHeader);
        }
        let fragment = u16::from_be_bytes([header[6], header[7]]);
        self.packet.family = family::IPV4;
        self.packet.traffic_class = header[1];
        self.packet.ttl = header[8];
        self.packet.protocol = header[9];
        self.packet.source = v4(self.read(at + 12)?);
        self.packet.destination = v4(self.read(at + 16)?);
        self.packet.end = at + total;
        if fragment & 0x3fff != 0 {
            self.packet.fragment_id = u32::from(u16::from_be_bytes([header[4], header[5]]));
            self.packet.fragment =
                if fragment << 3 == 0 { fragment::FIRST } else { fragment::LATER };
        }
        let mut next = at + length;
        if self.packet.protocol == 51 && self.packet.fragment == fragment::LATER {
            self.by(Rule::LaterFragment);
        } else if self.packet.protocol == 51 {
            next += self.authentication(next)?;
            self.packet.protocol = self.u8(at + length)?;
        }
        let unstated = (total == 0).then_some(self.packet.end);
        self.transport(next, unstated)
    }

    fn ipv6(&mut self, at: u32) -> Result<(), Outcome> {
        let header: [u8; 40] = self.ip_header(at)?;
        if header[0] >> 4 != 6 {
            self.by(Rule::VersionAgainstType);
            return Err(Outcome::BadIpv6Header);
        }
        let length = u32::from(u16::from_be_bytes([header[4], header[5]]));
        self.packet.family = family::IPV6;
        self.packet.traffic_class = header[0] << 4 | header[1] >> 4;
        self.packet.ttl = header[7];
        self.packet.source = v6(self.read(at + 8)?);
        self.packet.destination = v6(self.read(at + 24)?);
        self.packet.end = at + 40 + length;
        self.packet.protocol = header[6];
        let next = self.extensions(at + 40)?;
        let unstated = (length == 0).then_some(self.packet.end);
        self.transport(next, unstated)
    }

    /// Follows at most six extension headers.
    fn extensions(&mut self, begin: u32) -> Result<u32, Outcome> {
        let mut at = begin;
        let mut fragment_headers = 0;
        for followed in 0..=6 {
            let kind = self.packet.protocol;
            if ![0, 43, 44, 51, 60].contains(&kind) {
                break;
            }
            if followed == 6 {
                self.by(Rule::ExtensionLimit);
                return Err(Outcome::Ipv6ExtensionLimit);
            }
            if kind == 0 && at != begin {
                self.by(Rule::HopByHopLater);
            }
            let [next, length, high, low, id @ ..] = self.read::<8>(at)?;
            at += match kind {
                44 => 8,
                51 => self.authentication(at)?,
                _ => (u32::from(length) + 1) * 8,
            };
            self.packet.protocol = next;
            if kind == 44 {
                fragment_headers += 1;
                let place = u16::from_be_bytes([high, low]);
                if fragment_headers > 1 {
                    self.by(Rule::SeveralFragmentHeaders);
                }
                if place & 0xfff9 != 0 {
                    self.packet.fragment_id = u32::from_be_bytes(id);
                    self.packet.fragment =
                        if place & 0xfff8 == 0 { fragment::FIRST } else { fragment::LATER };
                }
            }
            if self.packet.fragment == fragment::LATER {
                if [0, 43, 44, 51, 60].contains(&next) {
                    self.by(Rule::LaterFragment);
                }
                break;
            }
        }
        Ok(at)
    }

    /// The length of an authentication header.
    fn authentication(&mut self, at: u32) -> Result<u32, Outcome> {
        let length = (u32::from(self.read::<8>(at)?[1]) + 2) * 4;
        if length < 12 {
            self.by(Rule::ShortAuthentication);
        }
        Ok(length)
    }

    /// The transport header, and whether it ends where IP says.
    fn transport(&mut self, at: u32, unstated_end: Option<u32>) -> Result<(), Outcome> {
        let over_ipv4 = self.packet.family == family::IPV4;
        if self.packet.fragment == fragment::FIRST {
            self.by(Rule::FirstFragment);
        }
        let length = match (self.packet.fragment, self.packet.protocol) {
            (fragment::LATER, _) => 0,
            (_, 6) => self.tcp(at)?,
            (_, 17) => self.udp(at)?,
            (_, 136) => {
                self.by(Rule::MoreTransports);
                self.ports(at)?;
                self.read::<8>(at)?.len()
            }
            (_, 132) => {
                self.by(Rule::MoreTransports);
                self.ports(at)?;
                self.read::<12>(at)?.len()
            }
            (_, 1) if over_ipv4 => self.icmp(at)?,
            (_, 58) if !over_ipv4 => self.icmp(at)?,
            (_, 1 | 58) => {
                self.by(Rule::IcmpOfTheOtherFamily);
                0
            }
            (_, 2) => {
                self.by(Rule::Igmp);
                0
            }
            _ => 0,
        };
        self.packet.header_len = at + u32::try_from(length).expect("a short header");
        match unstated_end {
            None if self.packet.header_len > self.packet.end => Err(Outcome::Truncated),
            _ => Ok(()),
        }
    }

    fn ports(&mut self, at: u32) -> Result<(), Outcome> {
        self.packet.source_port = self.u16(at)?;
        self.packet.destination_port = self.u16(at + 2)?;
        Ok(())
    }

    fn tcp(&mut self, at: u32) -> Result<usize, Outcome> {
        let header: [u8; 20] = self.read(at)?;
        if header[12] < 0x50 {
            if at + 20 > self.packet.end {
                self.by(Rule::BadBehindTheEnd);
            }
            return Err(Outcome::BadTcpHeader);
        }
        self.ports(at)?;
        self.packet.tcp_sequence = u32::from_ne_bytes(self.read(at + 4)?);
        self.packet.tcp_acknowledgment = u32::from_ne_bytes(self.read(at + 8)?);
        self.packet.tcp_flags = header[13];
        self.packet.tcp_window = self.u16(at + 14)?;
        Ok(usize::from(header[12] >> 4) * 4)
    }

    fn udp(&mut self, at: u32) -> Result<usize, Outcome> {
        let header: [u8; 8] = self.read(at)?;
        self.ports(at)?;
        if [4789, 8472, 6081].contains(&self.packet.destination_port) && self.packet.end >= at + 16
        {
            self.by(Rule::Tunnel);
            let tunnel: [u8; 8] = self.read(at + 8)?;
            let is_geneve = self.packet.destination_port == 6081;
            self.packet.inner_at = match tunnel {
                [words @ 0..64, _, 0x65, 0x58, ..] if is_geneve => at + 16 + u32::from(words) * 4,
                [flags, ..] if !is_geneve && flags & 8 != 0 => at + 16,
                _ => 0,
            };
        }
        Ok(header.len())
    }

    fn icmp(&mut self, at: u32) -> Result<usize, Outcome> {
        let header: [u8; 8] = self.read(at)?;
        let over_ipv4 = self.packet.family == family::IPV4;
        self.packet.icmp_type = header[0];
        self.packet.icmp_code = header[1];
        match (over_ipv4, header[0]) {
            (true, 0 | 8) | (false, 128 | 129) => {
                self.ports(at + 4)?;
                self.packet.echo_sequence = self.packet.destination_port;
                self.packet.destination_port = self.packet.source_port;
            }
            (true, 3 | 4 | 5 | 11 | 12) | (false, 1..=4) => self.packet.quoted_at = at + 8,
            (true, 13 | 14) => self.by(Rule::IcmpTimestamp),
            (false, 137) => self.redirect(at + 40)?,
            _ => {}
        }
        Ok(header.len())
    }

    /// Looks for the quotation among the first two options.
    fn redirect(&mut self, mut at: u32) -> Result<(), Outcome> {
        self.by(Rule::Redirect);
        for _ in 0..2 {
            if self.packet.end >= at + 8 && self.packet.quoted_at == 0 {
                let option: [u8; 8] = self.read(at)?;
                if option[0] == 4 {
                    self.packet.quoted_at = at + 8;
                }
                at += u32::from(option[1]) * 8;
            }
        }
        Ok(())
    }
}

fn v4(octets: [u8; 4]) -> Address {
    Address::from_v4_word(u32::from_ne_bytes(octets))
}

fn v6(octets: [u8; 16]) -> Address {
    let (doubles, _) = octets.as_chunks::<8>();
    Address([0, 1].map(|at| u64::from_ne_bytes(doubles[at])))
}
