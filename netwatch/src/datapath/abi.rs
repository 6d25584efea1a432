//! ABI bytes → model values.

#![expect(unsafe_code, reason = "which ABI types are plain bytes")]

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use netwatch_common::{
    cpu::CpuState,
    drop::{DropKey, DropRecord, DropState, HOST, KernelFacts},
    flow::{Address, FlowEntry, FlowKey, Half, Tally as AbiTally, detail, family, mark},
    header::Header,
    index::Line,
    interface::{InterfaceCounters as AbiCounters, InterfaceHalf},
    outcome::Outcome,
    parse::{parse, protocol},
    record,
    sample::INGRESS,
};
use serde::{Deserialize, Serialize};

use super::shared::Plain;
use crate::model::{
    DropSite, DroppedPacket, Echoes, Ends, EntrySide, IcmpError, Instant, InterfaceTally, Mac,
    Message, Protocol, Repairs, Sample, SideReading, Socket, Tally, Traits,
};

// SAFETY: repr(C), integers and arrays of them only, explicit padding; their sizes are asserted beside them.
unsafe impl Plain for CpuState {}
// SAFETY: as above.
unsafe impl Plain for AbiCounters {}
// SAFETY: as above.
unsafe impl Plain for AbiTally {}
// SAFETY: as above.
unsafe impl Plain for FlowEntry {}
// SAFETY: as above.
unsafe impl Plain for Header {}
// SAFETY: as above.
unsafe impl Plain for Line {}
// SAFETY: as above.
unsafe impl Plain for DropKey {}
// SAFETY: as above.
unsafe impl Plain for DropState {}
// SAFETY: as above.
unsafe impl Plain for KernelFacts {}

/// An ABI value where aya wants a type that it knows to be plain: keys of maps, globals.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Abi<T>(pub(super) T);

// SAFETY: transparent, and `Plain` promises what `Pod` asks for.
unsafe impl<T: Plain + 'static> aya::Pod for Abi<T> {}

pub(super) fn sample(bytes: &[u8]) -> Option<Sample> {
    let (sample, packet) = record::sample(bytes)?;
    Some(Sample {
        time: Instant(sample.time_ns),
        ifindex: sample.ifindex,
        side: side_of(sample.hook == u32::from(INGRESS)),
        len: sample.len,
        wire_len: sample.wire_len,
        segments: sample.segments,
        gso_size: sample.gso_size,
        rate: sample.rate,
        bytes: Bytes::copy_from_slice(packet),
    })
}

/// What the headers of a sampled packet say, or why they do not: by the parser that the kernel side uses.
pub fn ends(sample: &Sample) -> Result<Ends, Outcome> {
    let packet = parse::<[u8]>(&sample.bytes)?;
    let socket = |of, port| Socket { address: address(of), port };
    Ok(Ends {
        protocol: protocol_of(packet.family, packet.protocol),
        source: socket(packet.source, packet.source_port),
        destination: socket(packet.destination, packet.destination_port),
    })
}

pub(super) fn message(bytes: &[u8]) -> Option<Message> {
    let (message, payload) = record::message(bytes)?;
    Some(Message {
        time: Instant(message.time_ns),
        ifindex: message.ifindex,
        side: side_of(message.hook == u16::from(INGRESS)),
        source: Socket { address: address(message.source), port: message.source_port },
        destination: Socket {
            address: address(message.destination),
            port: message.destination_port,
        },
        protocol: Protocol(message.protocol),
        len: message.len,
        bytes: Bytes::copy_from_slice(payload),
    })
}

/// A record names one of two hooks; any other was refused.
fn side_of(is_ingress: bool) -> EntrySide {
    if is_ingress { EntrySide::Ingress } else { EntrySide::Egress }
}

pub(super) fn dropped(record: &DropRecord, reason: Arc<str>) -> DroppedPacket {
    DroppedPacket {
        source: Socket { address: address(record.source), port: record.source_port },
        destination: Socket { address: address(record.destination), port: record.destination_port },
        protocol: Protocol(u16::try_from(record.protocol).unwrap_or_default()),
        reason,
        site: drop_site(record.namespace, record.ifindex),
    }
}

pub(super) fn drop_site(namespace: u32, ifindex: u32) -> DropSite {
    match namespace {
        HOST => DropSite::Host { ifindex },
        namespace => DropSite::Inside { namespace, ifindex },
    }
}

pub(super) fn tally(tally: AbiTally) -> Tally {
    Tally { packets: tally.packets, segments: tally.segments, bytes: tally.bytes }
}

pub(super) fn interface_tally(half: InterfaceHalf) -> InterfaceTally {
    InterfaceTally { tally: tally(half.tally()), link_bytes: half.skb_bytes }
}

/// The protocol of a flow, ARP among them.
pub(super) fn protocol(key: &FlowKey) -> Protocol {
    protocol_of(key.family & !family::INNER, key.protocol)
}

fn protocol_of(family: u8, protocol: u8) -> Protocol {
    if family == family::ARP { Protocol::ARP } else { Protocol(protocol.into()) }
}

pub(super) fn local(key: &FlowKey) -> Socket {
    Socket { address: address(key.address(key.local)), port: u16::from_be(key.local_port) }
}

pub(super) fn remote(key: &FlowKey) -> Socket {
    Socket { address: address(key.address(key.remote)), port: u16::from_be(key.remote_port) }
}

/// Mapped addresses come from IPv4 packets: an IPv6 packet with one is not routable (RFC 4291, section 2.5.5.2).
fn address(address: Address) -> IpAddr {
    Ipv6Addr::from(address.octets()).to_canonical()
}

/// What has been read of one half of an entry. Of all but the bytes only the lower bits: differences are taken of them,
/// and no reading is so late that two pass by each other.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Read {
    packets: u32,
    segments: u32,
    bytes: u64,
    detail: [u32; 2],
}

/// The details that are counts; see [`detail`].
const COUNTS: usize = detail::RETRANSMITTED;
const _: () = assert!(detail::OUT_OF_ORDER == COUNTS + 1 && detail::ECHO_TIMED == COUNTS);

#[expect(clippy::cast_possible_truncation, reason = "the lower bits are what is wanted")]
impl Read {
    /// All of a half as it is now.
    pub(super) fn all(half: &Half) -> Self {
        Self {
            packets: half.packets as u32,
            segments: half.tally().segments as u32,
            bytes: half.bytes,
            detail: [half.detail[COUNTS], half.detail[COUNTS + 1]],
        }
    }

    /// What a half has counted since.
    fn until(&self, half: &Half) -> (Tally, [u64; 2]) {
        let now = Self::all(half);
        let tally = Tally {
            packets: now.packets.wrapping_sub(self.packets).into(),
            segments: now.segments.wrapping_sub(self.segments).into(),
            bytes: now.bytes.wrapping_sub(self.bytes),
        };
        let count = |at: usize| u64::from(now.detail[at].wrapping_sub(self.detail[at]));
        (tally, [count(0), count(1)])
    }
}

/// One half of an entry, of which `before` has been read already.
pub(super) fn side(protocol: u8, half: &Half, before: &Read) -> SideReading {
    let time = |ns: u64| (half.first_ns != 0).then_some(Instant(ns));
    let (new, [retransmitted, out_of_order]) = before.until(half);
    SideReading {
        new,
        // Of an entry that goes on, the first packet belongs to what was read before.
        first: time(half.first_ns).filter(|_| before.bytes == 0),
        last: time(half.last_ns),
        tcp_flags: half.tcp_flags,
        opened_by: half.opened_by,
        repairs: if protocol == protocol::TCP {
            Repairs { retransmitted, out_of_order }
        } else {
            Repairs::default()
        },
        traits: Traits {
            largest: half.largest,
            ttl_min: half.ttl_min,
            ttl_max: half.ttl_max,
            dscp: half.traffic_class >> 2,
            ecn: half.marks & mark::ECN,
            zero_window: half.marks & mark::ZERO_WINDOW != 0,
        },
    }
}

/// Echoes that an entry has timed, in both directions, since `before`, when the sum of their times was `before_ns`.
pub(super) fn echoes(entry: &FlowEntry, before: [&Read; 2], before_ns: u64) -> Echoes {
    if !matches!(entry.key.protocol, protocol::ICMP | protocol::ICMPV6) {
        return Echoes::default();
    }
    let timed = |half: &Half, before: &Read| before.until(half).1[0];
    Echoes {
        timed: timed(&entry.ingress, before[0]) + timed(&entry.egress, before[1]),
        total: Duration::from_nanos(entry.timing_ns.wrapping_sub(before_ns)),
    }
}

/// When the client's ACK of the SYN-ACK passed.
pub(super) fn acknowledged(entry: &FlowEntry) -> Option<Instant> {
    (entry.key.protocol == protocol::TCP && entry.timing_ns != 0)
        .then_some(Instant(entry.timing_ns))
}

/// The last error message about a packet of the flow.
pub(super) fn error(entry: &FlowEntry) -> Option<IcmpError> {
    (entry.error_type != 0).then_some(IcmpError { kind: entry.error_type, code: entry.error_code })
}

/// Who sent the frame that opened the entry.
pub(super) fn source_mac(entry: &FlowEntry) -> Option<(Mac, EntrySide)> {
    let mut mac = [0; 6];
    for (two, word) in mac.chunks_exact_mut(2).zip(entry.source_mac) {
        two.copy_from_slice(&word.to_ne_bytes());
    }
    let side = if entry.ingress.marks & mark::SOURCE_MAC != 0 {
        EntrySide::Ingress
    } else {
        EntrySide::Egress
    };
    (mac != [0; 6]).then_some((Mac(mac), side))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_become_ipv4() {
        let word = u32::from_ne_bytes([172, 17, 0, 2]);
        assert_eq!(address(Address::from_v4_word(word)), "172.17.0.2".parse::<IpAddr>().unwrap());
    }
}
