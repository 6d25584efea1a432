//! Reads rtnetlink messages by hand, attribute by attribute.
//!
//! Promises never to fail on what it does not know: a message with a strange attribute still gives what the others say.
//! The netlink-packet crates refuse the whole message then, and a veth that a newer kernel describes in a new way would
//! never be seen. Numbers are in host order, as the kernel sends them (rtnetlink(7)).

use std::{
    iter,
    net::{IpAddr, Ipv4Addr},
};

use super::LinkStats;
use crate::{
    identity::HostAddress,
    model::{InterfaceKind, Mac},
};

/// `AF_BRIDGE`, as the one byte that message headers have.
pub(super) const FAMILY_BRIDGE: u8 = 7;

const HEADER: usize = 16;
const LINK_HEADER: usize = 16;
const ADDRESS_HEADER: usize = 8;
const NEIGHBOUR_HEADER: usize = 12;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_STATS64: u16 = 23;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_NEW_NETNSID: u16 = 45;
const IFLA_INFO_KIND: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const NDA_LLADDR: u16 = 2;
const NUD_PERMANENT: u16 = 0x80;
/// The two high bits of an attribute's type are flags (nested, network order).
const TYPE_MASK: u16 = 0x3fff;

/// One netlink message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    /// Whose request made it: also set in what is told to everybody.
    pub(super) port: u32,
    pub(super) payload: &'a [u8],
}

/// What a link message says; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) family: u8,
    pub(super) index: u32,
    pub(super) name: Option<String>,
    pub(super) kind: Option<InterfaceKind>,
    pub(super) master: Option<u32>,
    pub(super) peer: Option<u32>,
    pub(super) peer_namespace: Option<i32>,
    /// The device moves into this namespace.
    pub(super) new_namespace: Option<i32>,
    pub(super) mac: Option<Mac>,
    pub(super) stats: LinkStats,
}

/// An entry of a bridge's forwarding table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Neighbour {
    pub(super) family: u8,
    pub(super) port: u32,
    pub(super) mac: Mac,
    /// The host's own address on that port, not somebody's behind it.
    pub(super) local: bool,
}

/// A request: header and body.
pub(super) fn request(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend_from_slice(&length.to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(&flags.to_ne_bytes());
    bytes.extend_from_slice(&sequence.to_ne_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(body);
    bytes
}

/// The messages of a datagram; what is cut off at its end is left out.
pub(super) fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    iter::from_fn(move || {
        let length = usize::try_from(u32_at(datagram, 0)?).ok()?;
        let payload = datagram.get(HEADER..length)?;
        let message = Message {
            kind: u16_at(datagram, 4)?,
            flags: u16_at(datagram, 6)?,
            sequence: u32_at(datagram, 8)?,
            port: u32_at(datagram, 12)?,
            payload,
        };
        datagram = datagram.get(aligned(length)..).unwrap_or_default();
        Some(message)
    })
}

/// The attributes in `bytes`, by number.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let attribute = (u16_at(bytes, 2)? & TYPE_MASK, bytes.get(4..length)?);
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
        Some(attribute)
    })
}

/// Reads the payload of `RTM_NEWLINK` and `RTM_DELLINK`.
pub(super) fn link(payload: &[u8]) -> Option<Link> {
    let mut link =
        Link { family: *payload.first()?, index: u32_at(payload, 4)?, ..Link::default() };
    for (kind, value) in attributes(payload.get(LINK_HEADER..)?) {
        match kind {
            IFLA_IFNAME => link.name = Some(text(value)),
            IFLA_ADDRESS => link.mac = mac(value),
            IFLA_LINK => link.peer = u32_at(value, 0),
            IFLA_MASTER => link.master = u32_at(value, 0).filter(|index| *index != 0),
            IFLA_LINK_NETNSID => link.peer_namespace = i32_at(value).filter(|id| *id >= 0),
            IFLA_NEW_NETNSID => link.new_namespace = i32_at(value).filter(|id| *id >= 0),
            IFLA_LINKINFO => link.kind = info_kind(value),
            IFLA_STATS64 => link.stats = stats(value).unwrap_or_default(),
            _ => {}
        }
    }
    Some(link)
}

/// Reads the payload of `RTM_NEWADDR` and `RTM_DELADDR`.
pub(super) fn address(payload: &[u8]) -> Option<HostAddress> {
    let (mut local, mut remote, mut broadcast) = (None, None, None);
    for (kind, value) in attributes(payload.get(ADDRESS_HEADER..)?) {
        match kind {
            IFA_LOCAL => local = ip(value),
            IFA_ADDRESS => remote = ip(value),
            IFA_BROADCAST => broadcast = <[u8; 4]>::try_from(value).ok().map(Ipv4Addr::from),
            _ => {}
        }
    }
    // On a point-to-point link IFA_ADDRESS is the other end's; IPv6 without a peer has no IFA_LOCAL.
    Some(HostAddress {
        interface: u32_at(payload, 4)?,
        address: local.or(remote)?,
        prefix: *payload.get(1)?,
        broadcast,
    })
}

/// Reads the payload of `RTM_NEWNEIGH` and `RTM_DELNEIGH`.
pub(super) fn neighbour(payload: &[u8]) -> Option<Neighbour> {
    let mac = attributes(payload.get(NEIGHBOUR_HEADER..)?)
        .find_map(|(kind, value)| (kind == NDA_LLADDR).then(|| mac(value)).flatten())?;
    let local = u16_at(payload, 8)? & NUD_PERMANENT != 0;
    Some(Neighbour { family: *payload.first()?, port: u32_at(payload, 4)?, mac, local })
}

/// The four bytes that an attribute holds as a number with a sign.
pub(super) fn i32_at(bytes: &[u8]) -> Option<i32> {
    Some(i32::from_ne_bytes(*bytes.first_chunk()?))
}

fn info_kind(bytes: &[u8]) -> Option<InterfaceKind> {
    let name = attributes(bytes)
        .find_map(|(kind, value)| (kind == IFLA_INFO_KIND).then(|| text(value)))?;
    Some(match name.as_str() {
        "veth" => InterfaceKind::Veth,
        "bridge" => InterfaceKind::Bridge,
        _ => InterfaceKind::Other,
    })
}

fn stats(bytes: &[u8]) -> Option<LinkStats> {
    let word = |at: usize| Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
    Some(LinkStats {
        rx_packets: word(0)?,
        tx_packets: word(8)?,
        rx_bytes: word(16)?,
        tx_bytes: word(24)?,
    })
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn mac(bytes: &[u8]) -> Option<Mac> {
    bytes.try_into().ok().map(Mac)
}

/// An address of either family.
pub(super) fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// At least a header's worth, so that a length of nought cannot hold the iterators in one place.
fn aligned(length: usize) -> usize {
    length.max(4).next_multiple_of(4)
}

/// What tests write.
#[cfg(test)]
pub(super) mod written {
    /// An attribute with its header and padding.
    pub(in super::super) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = u16::try_from(4 + value.len()).unwrap().to_ne_bytes().to_vec();
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::{written::attribute, *};

    fn veth() -> Vec<u8> {
        let mut payload = vec![0; LINK_HEADER];
        payload[4] = 7;
        payload.extend(attribute(IFLA_IFNAME, b"veth0\0"));
        payload.extend(attribute(0x3ffe, b"from a kernel to come"));
        payload.extend(attribute(IFLA_MASTER, &5_u32.to_ne_bytes()));
        payload.extend(attribute(IFLA_LINK_NETNSID, &3_i32.to_ne_bytes()));
        payload.extend(attribute(IFLA_ADDRESS, &[2, 0, 0, 0, 0, 9]));
        payload.extend(attribute(IFLA_LINKINFO | 0x8000, &attribute(IFLA_INFO_KIND, b"veth\0")));
        payload
    }

    #[test]
    fn a_link_with_an_unknown_attribute_is_read() {
        let link = link(&veth()).unwrap();
        assert_eq!(
            (link.index, link.name.as_deref(), link.kind),
            (7, Some("veth0"), Some(InterfaceKind::Veth))
        );
        assert_eq!((link.master, link.peer_namespace), (Some(5), Some(3)));
        assert_eq!(link.mac, Some(Mac([2, 0, 0, 0, 0, 9])));
    }

    #[test]
    fn truncation_at_every_byte_is_no_panic() {
        let whole = request(16, 0, 1, &veth());
        for end in 0..=whole.len() {
            for message in messages(&whole[..end]) {
                let _ =
                    (link(message.payload), address(message.payload), neighbour(message.payload));
            }
        }
        for end in 0..veth().len() {
            let _ = link(&veth()[..end]);
        }
    }

    #[test]
    fn lengths_of_nought_end_the_iteration() {
        assert_eq!(messages(&[0; 64]).count(), 0);
        assert_eq!(attributes(&[0; 64]).count(), 0);
    }
}
