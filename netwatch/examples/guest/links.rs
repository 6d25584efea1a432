//! Links and addresses by rtnetlink, in the namespace of the calling thread.

use std::{ffi::CString, io, net::IpAddr, os::fd::AsRawFd as _};

use anyhow::{Context as _, Result, ensure};
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressHeaderFlags, AddressMessage},
    link::{
        InfoData, InfoKind, InfoVeth, InfoVlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
    },
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use crate::namespace::Namespace;

/// A new bridge.
pub fn bridge(name: &str) -> Result<u32> {
    add(name, InfoKind::Bridge, None, [])
}

/// A new pair: one end here, which is answered, the other as `peer` in a namespace.
pub fn veth(name: &str, peer: &str, namespace: &Namespace) -> Result<u32> {
    let mut other = LinkMessage::default();
    other.attributes.push(LinkAttribute::IfName(peer.into()));
    other.attributes.push(LinkAttribute::NetNsFd(namespace.file().as_raw_fd()));
    add(name, InfoKind::Veth, Some(InfoData::Veth(InfoVeth::Peer(other))), [])
}

/// A new interface for the tagged packets of another.
pub fn vlan(name: &str, parent: u32, id: u16) -> Result<u32> {
    let data = InfoData::Vlan(vec![InfoVlan::Id(id)]);
    add(name, InfoKind::Vlan, Some(data), [LinkAttribute::Link(parent)])
}

/// Makes it a port of a bridge.
pub fn enslave(index: u32, bridge: u32) -> Result<()> {
    let mut message = link(index);
    message.attributes.push(LinkAttribute::Controller(bridge));
    request(RouteNetlinkMessage::SetLink(message), 0).context("making a port of a link")
}

/// Switches it on.
pub fn up(index: u32) -> Result<()> {
    let mut message = link(index);
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    request(RouteNetlinkMessage::SetLink(message), 0).context("switching a link on")
}

/// Gives it an address that it may use at once: IPv6 would first ask whether anybody has it (RFC 4862, section 5.4).
pub fn address(index: u32, address: IpAddr, prefix_len: u8) -> Result<()> {
    let mut message = AddressMessage::default();
    message.header.family =
        if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.header.prefix_len = prefix_len;
    message.header.flags = AddressHeaderFlags::Nodad;
    message.header.index = index;
    message.attributes.push(AddressAttribute::Local(address));
    message.attributes.push(AddressAttribute::Address(address));
    request(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL)
        .with_context(|| format!("adding the address {address}"))
}

/// The index of a link by its name.
#[expect(unsafe_code, reason = "the standard library has no such call")]
pub fn index(name: &str) -> Result<u32> {
    let text = CString::new(name)?;
    // SAFETY: a valid C string.
    let index = unsafe { libc::if_nametoindex(text.as_ptr()) };
    ensure!(index != 0, "the link {name}: {}", io::Error::last_os_error());
    Ok(index)
}

fn link(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message
}

fn add(
    name: &str,
    kind: InfoKind,
    data: Option<InfoData>,
    more: impl IntoIterator<Item = LinkAttribute>,
) -> Result<u32> {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.into()));
    message.attributes.extend(more);
    let info = std::iter::once(LinkInfo::Kind(kind)).chain(data.map(LinkInfo::Data));
    message.attributes.push(LinkAttribute::LinkInfo(info.collect()));
    request(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
        .with_context(|| format!("adding the link {name}"))?;
    index(name)
}

/// One request, and whether the kernel did it.
fn request(message: RouteNetlinkMessage, flags: u16) -> Result<()> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut packet = NetlinkMessage::from(message);
    packet.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    packet.finalize();
    let mut bytes = vec![0; packet.buffer_len()];
    packet.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer)?;
    match answer.payload {
        NetlinkPayload::Error(error) if error.code.is_some() => Err(error.to_io().into()),
        _ => Ok(()),
    }
}
