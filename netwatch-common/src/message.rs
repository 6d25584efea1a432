//! A DNS message, as it goes through its ring, and which packets carry one.

use crate::{flow::Address, parse::protocol};

/// Bytes of a message that are copied at most: what DNS over UDP was made for (RFC 1035, section 2.3.4), and with the
/// answers in front of the rest what counts of a longer one.
pub const MESSAGE_BYTES: usize = 512;

/// Messages that an interface may have read at once on one CPU before its rate counts: those of this long a time.
pub const MESSAGE_BURST_NS: u64 = 1_000_000_000;

/// The port of DNS. Multicast DNS has one of its own, 5353, and is not meant (RFC 6762).
const DNS: u16 = 53;

/// Whether packets between these ports carry DNS messages.
#[inline(always)]
pub const fn is_dns(protocol: u8, source_port: u16, destination_port: u16) -> bool {
    (protocol == protocol::UDP || protocol == protocol::TCP)
        && (source_port == DNS || destination_port == DNS)
}

/// A DNS message. In the ring its bytes follow: those behind the UDP or TCP header, [`MESSAGE_BYTES`] at most.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// `CLOCK_MONOTONIC` in nanoseconds, exact.
    pub time_ns: u64,
    /// Who sent it.
    pub source: Address,
    /// To whom.
    pub destination: Address,
    /// Bytes behind the UDP or TCP header in full.
    pub len: u32,
    /// The interface.
    pub ifindex: u32,
    /// Port of the sender, host byte order.
    pub source_port: u16,
    /// Port of the receiver.
    pub destination_port: u16,
    /// IP protocol number: TCP or UDP.
    pub protocol: u16,
    /// [`crate::sample::INGRESS`] or [`crate::sample::EGRESS`].
    pub hook: u16,
}

const _: () = assert!(size_of::<Message>() == 56 && align_of::<Message>() == 8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_is_port_53_of_udp_and_tcp() {
        for transport in [protocol::UDP, protocol::TCP] {
            assert!(is_dns(transport, 40_000, 53) && is_dns(transport, 53, 40_000));
            assert!(!is_dns(transport, 5353, 5353) && !is_dns(transport, 53_000, 530));
        }
        assert!(!is_dns(protocol::ICMP, 53, 53), "an echo with such an identifier");
    }
}
