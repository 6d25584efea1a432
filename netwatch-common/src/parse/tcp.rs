//! TCP (RFC 9293, section 3.1).

use super::{Header as _, Packet, Reader};
use crate::outcome::Outcome;

/// The flags of the TCP header's low byte.
pub mod flags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers: opens a connection.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgment field is valid.
    pub const ACK: u8 = 0x10;
}

/// Fills in ports, flags, sequence numbers and window; answers with the length of the header with its options.
#[inline(always)]
pub(super) fn parse<R: Reader + ?Sized>(
    reader: &R,
    offset: u32,
    packet: &mut Packet,
) -> Result<u32, Outcome> {
    let header = reader.header::<20>(offset).ok_or(Outcome::Truncated)?;
    let words = header.u8(12) >> 4;
    if words < 5 {
        return Err(Outcome::BadTcpHeader);
    }
    super::ports(header, packet);
    packet.tcp_sequence = header.word(4);
    packet.tcp_acknowledgment = header.word(8);
    packet.tcp_flags = header.u8(13);
    packet.tcp_window = header.u16(14);
    Ok(u32::from(words) * 4)
}
