//! Who began a conversation.

use netwatch_common::parse::{ECHO_REQUEST, ECHO_REQUEST_V6, tcp_flags};

use crate::model::{Instant, Protocol, Traits};

/// First of the ports that hosts hand out to clients, on Linux (`ip_local_port_range`).
const FIRST_EPHEMERAL: u16 = 32_768;
/// Below this, ports belong to services (RFC 6335, section 6: system ports).
const FIRST_USER_PORT: u16 = 1024;

/// What is known of one end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct End {
    pub(super) port: u16,
    /// Its first packet.
    pub(super) first: Option<Instant>,
    /// All flags it sent.
    pub(super) tcp_flags: u8,
    /// Type of its first ICMP message.
    pub(super) icmp_type: u8,
    /// How its packets were.
    pub(super) traits: Traits,
}

/// Whether `low` is the initiator.
///
/// What the packets say comes first (a SYN, an echo request), then the ports, then who was seen first: an agent that
/// starts in the middle of a conversation may see an answer before a question.
pub(super) fn low_began(protocol: Protocol, low: End, high: End) -> bool {
    by_packets(protocol, low, high)
        .or_else(|| by_ports(protocol, low.port, high.port))
        .unwrap_or_else(|| earlier(low.first, high.first))
}

fn by_packets(protocol: Protocol, low: End, high: End) -> Option<bool> {
    if protocol.is_icmp() {
        let asks = |end: End| {
            end.first.is_some() && matches!(end.icmp_type, ECHO_REQUEST | ECHO_REQUEST_V6)
        };
        return one_of(asks(low), asks(high));
    }
    if protocol != Protocol::TCP {
        return None;
    }
    let syn = |end: End| end.tcp_flags & tcp_flags::SYN != 0;
    match (syn(low), syn(high)) {
        // SYN and SYN-ACK: the SYN came first.
        (true, true) => Some(earlier(low.first, high.first)),
        (false, false) => None,
        (low_syn, _) => {
            let (with, other) = if low_syn { (low, high) } else { (high, low) };
            // Alone and acknowledging: a SYN-ACK whose SYN went another way.
            let answers = other.first.is_none() && with.tcp_flags & tcp_flags::ACK != 0;
            Some(low_syn != answers)
        }
    }
}

fn by_ports(protocol: Protocol, low: u16, high: u16) -> Option<bool> {
    if !protocol.has_ports() {
        return None;
    }
    let service = |port: u16| port < FIRST_USER_PORT;
    let ephemeral = |port: u16| port >= FIRST_EPHEMERAL;
    one_of(service(high), service(low)).or_else(|| {
        // UDP peers talk from any port; only for TCP does an ephemeral port make a client.
        if protocol == Protocol::TCP { one_of(ephemeral(low), ephemeral(high)) } else { None }
    })
}

/// `Some(true)` if only the first holds, `Some(false)` if only the second does.
fn one_of(first: bool, second: bool) -> Option<bool> {
    (first != second).then_some(first)
}

fn earlier(low: Option<Instant>, high: Option<Instant>) -> bool {
    match (low, high) {
        (Some(low), Some(high)) => low <= high,
        (low, _) => low.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYN: u8 = tcp_flags::SYN;
    const ACK: u8 = tcp_flags::ACK;

    fn end(port: u16, first: u64, tcp_flags: u8) -> End {
        End { port, first: (first != 0).then_some(Instant(first)), tcp_flags, ..End::default() }
    }

    #[test]
    fn the_first_syn_is_the_clients_whatever_the_ports() {
        assert!(low_began(Protocol::TCP, end(80, 1, SYN | ACK), end(40_000, 2, SYN | ACK)));
        assert!(!low_began(Protocol::TCP, end(40_000, 2, SYN | ACK), end(80, 1, SYN | ACK)));
        assert!(low_began(Protocol::TCP, end(80, 1, SYN), end(40_000, 0, 0)), "no answer");
    }

    #[test]
    fn a_lone_syn_ack_is_an_answer() {
        assert!(!low_began(Protocol::TCP, end(50_000, 1, SYN | ACK), end(50_001, 0, 0)));
    }

    #[test]
    fn in_the_middle_of_a_conversation_the_ports_decide() {
        assert!(!low_began(Protocol::TCP, end(80, 1, ACK), end(40_000, 2, ACK)));
        assert!(low_began(Protocol::TCP, end(40_000, 2, ACK), end(5432, 1, ACK)));
        assert!(!low_began(Protocol::UDP, end(53, 1, 0), end(5353, 2, 0)));
    }

    #[test]
    fn otherwise_who_was_seen_first() {
        assert!(low_began(Protocol::UDP, end(40_000, 1, 0), end(9000, 2, 0)));
        assert!(!low_began(Protocol(47), end(0, 0, 0), end(0, 2, 0)));
    }

    #[test]
    fn an_echo_request_asks() {
        let mut low = end(7, 1, 0);
        let mut high = end(7, 2, 0);
        high.icmp_type = ECHO_REQUEST;
        assert!(!low_began(Protocol::ICMP, low, high));
        low.icmp_type = ECHO_REQUEST_V6;
        high.icmp_type = 129;
        assert!(low_began(Protocol::ICMPV6, low, high));
    }
}
