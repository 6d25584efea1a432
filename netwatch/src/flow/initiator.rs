//! Who began a conversation.

use netwatch_common::parse::{ECHO_REQUEST, ECHO_REQUEST_V6, tcp_flags};
use serde::{Deserialize, Serialize};

use crate::model::{Instant, Protocol, Traits};

/// First of the ports that hosts hand out to clients, on Linux (`ip_local_port_range`).
const FIRST_EPHEMERAL: u16 = 32_768;
/// Below this, ports belong to services (RFC 6335, section 6: system ports).
const FIRST_USER_PORT: u16 = 1024;

/// What is known of one end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) port: u16,
    /// Whether it sent anything.
    pub(super) spoke: bool,
    /// Its first packet, if it did.
    began: Instant,
    /// All flags it sent.
    pub(super) tcp_flags: u8,
    /// It sent a SYN that acknowledges nothing.
    pub(super) syn: bool,
    /// It sent a SYN that answers one.
    pub(super) syn_ack: bool,
    /// Type of its first ICMP message.
    pub(super) icmp_type: u8,
    /// How its packets were.
    pub(super) traits: Traits,
}

impl End {
    /// One that has sent nothing yet.
    pub(super) fn silent(port: u16) -> Self {
        Self { port, ..Self::default() }
    }

    /// Takes up the first packet that some entry has of it, with its TCP flags or ICMP type.
    pub(super) fn begins(&mut self, first: Instant, protocol: Protocol, opened_by: u8) {
        if protocol == Protocol::TCP {
            let syn = opened_by & (tcp_flags::SYN | tcp_flags::ACK);
            self.syn |= syn == tcp_flags::SYN;
            self.syn_ack |= syn == tcp_flags::SYN | tcp_flags::ACK;
        }
        if !self.spoke || first < self.began {
            self.spoke = true;
            self.began = first;
            self.icmp_type = opened_by;
        }
    }

    /// Its first packet.
    pub(super) fn first(&self) -> Option<Instant> {
        self.spoke.then_some(self.began)
    }
}

/// Whether `low` is the initiator.
///
/// What the packets say comes first (a SYN, an echo request), then the ports, then who was seen first: an agent that
/// starts in the middle of a conversation may see an answer before a question.
pub(super) fn low_began(protocol: Protocol, low: End, high: End) -> bool {
    by_packets(protocol, low, high)
        .or_else(|| by_ports(protocol, low.port, high.port))
        .unwrap_or_else(|| earlier(low.first(), high.first()))
}

fn by_packets(protocol: Protocol, low: End, high: End) -> Option<bool> {
    if protocol.is_icmp() {
        let asks = |end: End| end.spoke && matches!(end.icmp_type, ECHO_REQUEST | ECHO_REQUEST_V6);
        return one_of(asks(low), asks(high));
    }
    if protocol != Protocol::TCP {
        return None;
    }
    match (low.syn, high.syn) {
        // Both at once (RFC 9293, section 3.5).
        (true, true) => Some(earlier(low.first(), high.first())),
        // A SYN-ACK may have been seen without its SYN, which went another way or came before the agent.
        (false, false) => one_of(high.syn_ack, low.syn_ack),
        (low_asked, _) => Some(low_asked),
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

    fn end(port: u16, first: u64, opened_by: u8) -> End {
        let mut end = End::silent(port);
        if first != 0 {
            end.begins(Instant(first), Protocol::TCP, opened_by);
        }
        end
    }

    #[test]
    fn the_first_syn_is_the_clients_whatever_the_ports() {
        assert!(low_began(Protocol::TCP, end(80, 1, SYN), end(40_000, 2, SYN | ACK)));
        assert!(!low_began(Protocol::TCP, end(40_000, 2, SYN | ACK), end(80, 1, SYN)));
        assert!(low_began(Protocol::TCP, end(80, 1, SYN), end(40_000, 0, 0)), "no answer");
    }

    #[test]
    fn a_syn_ack_without_its_syn_is_an_answer() {
        assert!(!low_began(Protocol::TCP, end(50_000, 1, SYN | ACK), end(50_001, 0, 0)));
        assert!(!low_began(Protocol::TCP, end(50_000, 1, SYN | ACK), end(50_001, 2, ACK)));
    }

    #[test]
    fn what_another_cpu_saw_with_an_earlier_clock_does_not_turn_a_connection() {
        let mut server = end(80, 5, SYN | ACK);
        server.begins(Instant(1), Protocol::TCP, ACK);
        assert!(!low_began(Protocol::TCP, server, end(40_000, 4, SYN)));
    }

    #[test]
    fn of_two_syns_the_first_counts() {
        assert!(low_began(Protocol::TCP, end(179, 1, SYN), end(179, 2, SYN)));
        assert!(!low_began(Protocol::TCP, end(179, 2, SYN), end(179, 1, SYN)));
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
