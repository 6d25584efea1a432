//! ABI bytes → model values.

#![expect(unsafe_code, reason = "which ABI types are plain bytes")]

use std::net::{IpAddr, Ipv6Addr};

use bytes::Bytes;
use netwatch_common::{
    config::{CpuState, Settings},
    flow::{Address, FlowEntry, FlowKey, Half, Tally as AbiTally},
    interface::{InterfaceCounters as AbiCounters, InterfaceEntry, InterfaceHalf},
    record,
    sample::INGRESS,
};

use super::shared::Plain;
use crate::model::{EntrySide, Instant, InterfaceTally, Sample, SideReading, Socket, Tally};

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

pub(super) fn sample(bytes: &[u8]) -> Option<Sample> {
    let sample = record::sample(bytes)?;
    Some(Sample {
        time: Instant(sample.time_ns),
        ifindex: sample.ifindex,
        side: if sample.hook == INGRESS { EntrySide::Ingress } else { EntrySide::Egress },
        len: sample.len,
        rate: sample.rate,
        bytes: Bytes::copy_from_slice(sample.captured()),
    })
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
    fn mapped_addresses_become_ipv4() {
        let word = u32::from_ne_bytes([172, 17, 0, 2]);
        assert_eq!(address(Address::from_v4_word(word)), "172.17.0.2".parse::<IpAddr>().unwrap());
    }
}
