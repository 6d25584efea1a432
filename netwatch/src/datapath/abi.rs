//! ABI bytes → model values.

#![expect(unsafe_code, reason = "which ABI types are plain bytes")]

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use bytes::Bytes;
use netwatch_common::{
    config::{CpuState, Settings},
    drop::{DropKey, DropRecord, DropState, HOST, KernelFacts},
    flow::{Address, EvictedFlow, FlowEntry, FlowKey, Half, Tally as AbiTally},
    interface::{InterfaceCounters as AbiCounters, InterfaceEntry, InterfaceHalf},
    sample::{EGRESS, INGRESS, SAMPLE_BYTES, Sample as AbiSample},
};

use super::shared::Plain;
use crate::model::{
    DropSite, DroppedPacket, EntrySide, Instant, InterfaceTally, Protocol, Sample, SideReading,
    Socket, Tally,
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
unsafe impl Plain for DropKey {}
// SAFETY: as above.
unsafe impl Plain for DropState {}
// SAFETY: as above.
unsafe impl Plain for DropRecord {}
// SAFETY: as above.
unsafe impl Plain for KernelFacts {}

/// An ABI value where aya wants a type that it knows to be plain: keys of maps, globals.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Abi<T>(pub(super) T);

// SAFETY: transparent, and `Plain` promises what `Pod` asks for.
unsafe impl<T: Plain + 'static> aya::Pod for Abi<T> {}

/// The value that a record from a ring is; `None` if it has another size.
fn decode<T: Plain>(bytes: &[u8]) -> Option<T> {
    if bytes.len() != size_of::<T>() {
        return None;
    }
    // SAFETY: enough bytes, any of which are a value of `T`; read without regard to alignment.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

pub(super) fn evicted(bytes: &[u8]) -> Option<EvictedFlow> {
    decode(bytes)
}

pub(super) fn sample(bytes: &[u8]) -> Option<Sample> {
    let sample: AbiSample = decode(bytes)?;
    let side = match sample.hook {
        INGRESS => EntrySide::Ingress,
        EGRESS => EntrySide::Egress,
        _ => return None,
    };
    let captured = usize::from(sample.captured).min(SAMPLE_BYTES);
    Some(Sample {
        time: Instant(sample.time_ns),
        ifindex: sample.ifindex,
        side,
        len: sample.len,
        rate: sample.rate,
        bytes: Bytes::copy_from_slice(&sample.bytes[..captured]),
    })
}

pub(super) fn drop_record(bytes: &[u8]) -> Option<DropRecord> {
    decode(bytes)
}

pub(super) fn dropped(record: &DropRecord, reason: Arc<str>) -> DroppedPacket {
    DroppedPacket {
        source: Socket { address: address(record.source), port: record.source_port },
        destination: Socket { address: address(record.destination), port: record.destination_port },
        protocol: Protocol(record.protocol),
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
    use super::*;

    #[test]
    fn a_record_of_another_size_is_refused() {
        assert!(evicted(&[0; size_of::<EvictedFlow>()]).is_some());
        assert!(evicted(&[0; size_of::<EvictedFlow>() - 1]).is_none());
        assert!(sample(&[]).is_none());
    }

    #[test]
    fn a_sample_never_claims_more_bytes_than_it_has() {
        let mut bytes = vec![0; size_of::<AbiSample>()];
        bytes[20..22].copy_from_slice(&u16::MAX.to_ne_bytes());
        assert_eq!(sample(&bytes).unwrap().bytes.len(), SAMPLE_BYTES);
    }

    #[test]
    fn a_sample_from_an_unknown_hook_is_refused() {
        let mut bytes = vec![0; size_of::<AbiSample>()];
        bytes[22] = 7;
        assert!(sample(&bytes).is_none());
    }

    #[test]
    fn mapped_addresses_become_ipv4() {
        let word = u32::from_ne_bytes([172, 17, 0, 2]);
        assert_eq!(address(Address::from_v4_word(word)), "172.17.0.2".parse::<IpAddr>().unwrap());
    }
}
