//! How long an ICMP echo takes: from a request to the reply with its sequence number, both seen by this CPU.

use netwatch_common::{
    flow::{Half, detail},
    parse::{ECHO_REPLY, ECHO_REPLY_V6, ECHO_REQUEST, ECHO_REQUEST_V6, Packet, protocol},
};

/// Notes a request, or times the reply to the last one.
#[inline(always)]
pub fn follow(sum_ns: &mut u64, half: &mut Half, other: &mut Half, packet: &Packet, now: u64) {
    let (request, reply) = if packet.protocol == protocol::ICMP {
        (ECHO_REQUEST, ECHO_REPLY)
    } else {
        (ECHO_REQUEST_V6, ECHO_REPLY_V6)
    };
    let sequence = u32::from(packet.echo_sequence);
    if packet.icmp_type == request {
        half.detail[detail::ECHO_SEQUENCE] = sequence;
        half.detail[detail::ECHO_PENDING] = 1;
    } else if packet.icmp_type == reply
        && other.detail[detail::ECHO_PENDING] != 0
        && other.detail[detail::ECHO_SEQUENCE] == sequence
    {
        other.detail[detail::ECHO_PENDING] = 0;
        half.detail[detail::ECHO_TIMED] = half.detail[detail::ECHO_TIMED].wrapping_add(1);
        *sum_ns += now.wrapping_sub(other.last_ns);
    }
}
