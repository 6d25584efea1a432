//! ABI bytes → model values.

#![expect(unsafe_code, reason = "which ABI types are plain bytes")]

use std::net::{IpAddr, Ipv6Addr};

use bytes::Bytes;
use netwatch_common::{
    config::{CpuState, Settings},
    flow::{Address, EvictedFlow, FlowEntry, FlowKey, Half, Tally as AbiTally},
    interface::{InterfaceCounters as AbiCounters, InterfaceEntry, InterfaceHalf},
    message::Message as AbiMessage,
    outcome::Outcome,
    parse::parse,
    sample::{EGRESS, INGRESS, Sample as AbiSample},
};

use super::shared::Plain;
use crate::model::{
    Ends, EntrySide, Instant, InterfaceTally, Message, Protocol, Sample, SideReading, Socket, Tally,
};

// SAFETY: repr(C), integers and arrays of them only, explicit padding; their sizes are asserted beside them.
unsafe impl Plain for Settings {}
// SAFETY: as above.
unsafe impl Plain for CpuState {}
// SAFETY: as above.
unsafe impl Plain for InterfaceEntry {}
// SAFETY: as above.
unsafe impl Plain for AbiCounters {}
// SAFETY: as above.
unsafe impl Plain for AbiTally {}
// SAFETY: as above.
unsafe impl Plain for FlowEntry {}
// SAFETY: as above.
unsafe impl Plain for EvictedFlow {}
// SAFETY: as above.
unsafe impl Plain for AbiSample {}
// SAFETY: as above.
unsafe impl Plain for AbiMessage {}

/// The value that a record from a ring is; `None` if it has another size.
fn decode<T: Plain>(bytes: &[u8]) -> Option<T> {
    if bytes.len() != size_of::<T>() {
        return None;
    }
    // SAFETY: enough bytes, any of which are a value of `T`; read without regard to alignment.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// The header that a record begins with, and what follows it.
fn decode_header<T: Plain>(bytes: &[u8]) -> Option<(T, Bytes)> {
    let (header, rest) = bytes.split_at_checked(size_of::<T>())?;
    Some((decode(header)?, Bytes::copy_from_slice(rest)))
}

pub(super) fn evicted(bytes: &[u8]) -> Option<EvictedFlow> {
    decode(bytes)
}

pub(super) fn sample(bytes: &[u8]) -> Option<Sample> {
    let (sample, packet): (AbiSample, _) = decode_header(bytes)?;
    Some(Sample {
        time: Instant(sample.time_ns),
        ifindex: sample.ifindex,
        side: side_of(sample.hook)?,
        len: sample.len,
        wire_len: sample.wire_len,
        segments: sample.segments,
        gso_size: sample.gso_size,
        rate: sample.rate,
        bytes: packet,
    })
}

/// What the headers of a sampled packet say, or why they do not: by the parser that the kernel side uses.
pub fn ends(sample: &Sample) -> Result<Ends, Outcome> {
    let packet = parse::<[u8]>(&sample.bytes)?;
    let socket = |of, port| Socket { address: address(of), port };
    Ok(Ends {
        protocol: Protocol(packet.protocol),
        source: socket(packet.source, packet.source_port),
        destination: socket(packet.destination, packet.destination_port),
    })
}

pub(super) fn message(bytes: &[u8]) -> Option<Message> {
    let (message, payload): (AbiMessage, _) = decode_header(bytes)?;
    Some(Message {
        time: Instant(message.time_ns),
        ifindex: message.ifindex,
        side: side_of(message.hook)?,
        source: Socket { address: address(message.source), port: message.source_port },
        destination: Socket {
            address: address(message.destination),
            port: message.destination_port,
        },
        protocol: Protocol(message.protocol),
        len: message.len,
        bytes: payload,
    })
}

fn side_of(hook: u8) -> Option<EntrySide> {
    match hook {
        INGRESS => Some(EntrySide::Ingress),
        EGRESS => Some(EntrySide::Egress),
        _ => None,
    }
}

pub(super) fn tally(tally: AbiTally) -> Tally {
    Tally { packets: tally.packets, segments: tally.segments, bytes: tally.bytes }
}

pub(super) fn interface_tally(half: InterfaceHalf) -> InterfaceTally {
    InterfaceTally { tally: tally(half.tally), link_bytes: half.skb_bytes }
}

pub(super) fn local(key: &FlowKey) -> Socket {
    Socket { address: address(key.local), port: key.local_port }
}

pub(super) fn remote(key: &FlowKey) -> Socket {
    Socket { address: address(key.remote), port: key.remote_port }
}

/// Mapped addresses come from IPv4 packets: an IPv6 packet with one is not routable (RFC 4291, section 2.5.5.2).
fn address(address: Address) -> IpAddr {
    Ipv6Addr::from(address.octets()).to_canonical()
}

/// One half of an entry, of which `before` has been read already.
pub(super) fn side(half: &Half, before: Tally) -> SideReading {
    let time = |ns: u64| (half.first_ns != 0).then_some(Instant(ns));
    SideReading {
        new: tally(half.tally).since(before),
        // Of an entry that goes on, the first packet belongs to what was read before.
        first: time(half.first_ns).filter(|_| before.is_zero()),
        last: time(half.last_ns),
        tcp_flags: half.tcp_flags,
        icmp_type: half.icmp_type,
    }
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn a_record_of_another_size_is_refused() {
        assert!(evicted(&[0; size_of::<EvictedFlow>()]).is_some());
        assert!(evicted(&[0; size_of::<EvictedFlow>() - 1]).is_none());
        assert!(sample(&[]).is_none());
    }

    #[test]
    fn what_follows_a_header_belongs_to_it() {
        let mut bytes = vec![0; size_of::<AbiMessage>()];
        assert_eq!(sample(&bytes).unwrap().bytes.len(), 16);
        assert_eq!(message(&bytes).unwrap().bytes.len(), 0);
        bytes.extend([1, 2, 3]);
        assert_eq!(message(&bytes).unwrap().bytes, [1, 2, 3][..]);
        assert!(message(&bytes[..size_of::<AbiMessage>() - 1]).is_none());
    }

    #[test]
    fn what_an_unknown_hook_saw_is_refused() {
        let with = |offset: usize, size: usize| {
            let mut bytes = vec![0; size];
            bytes[offset] = 7;
            bytes
        };
        assert!(sample(&with(offset_of!(AbiSample, hook), 200)).is_none());
        assert!(message(&with(offset_of!(AbiMessage, hook), 200)).is_none());
    }

    #[test]
    fn mapped_addresses_become_ipv4() {
        let word = u32::from_ne_bytes([172, 17, 0, 2]);
        assert_eq!(address(Address::from_v4_word(word)), "172.17.0.2".parse::<IpAddr>().unwrap());
    }
}
