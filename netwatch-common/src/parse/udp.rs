//! UDP (RFC 768), UDP-Lite (RFC 3828), which differs in the meaning of its length only, and the tunnels inside UDP.

use super::{Packet, Reader, geneve, protocol, vxlan};
use crate::outcome::Outcome;

const HEADER: u32 = 8;

/// Fills in the ports and where the inner frame of a tunnel begins; answers with the length of the header.
#[inline(always)]
pub(super) fn parse<R: Reader + ?Sized>(
    reader: &R,
    offset: u32,
    packet: &mut Packet,
) -> Result<u32, Outcome> {
    let header = reader.header::<8>(offset).ok_or(Outcome::Truncated)?;
    super::ports(header, packet);
    let payload = offset + HEADER;
    if packet.protocol == protocol::UDP {
        packet.inner_at = match packet.destination_port {
            vxlan::PORT | vxlan::OLD_PORT => vxlan::parse(reader, payload, packet.end)?,
            geneve::PORT => geneve::parse(reader, payload, packet.end)?,
            _ => 0,
        };
    }
    Ok(HEADER)
}
