//! The clsact qdisc, which programs need to attach on kernels without TCX (before 6.6).
//!
//! Others may use the same qdisc: it is removed only where this process added it, or removed a leftover of netwatch
//! from it, and only when no filter is left in it.

use std::io;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::{
    RouteNetlinkMessage,
    tc::{TcAttribute, TcHandle, TcMessage},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

const KIND: &str = "clsact";
/// Minor numbers of the two hooks below the qdisc (linux/pkt_sched.h, TC_H_MIN_INGRESS and TC_H_MIN_EGRESS).
pub(super) const INGRESS: u16 = 0xfff2;
pub(super) const EGRESS: u16 = 0xfff3;

/// Adds the qdisc. Answers whether it was missing.
pub(super) fn add(ifindex: u32) -> io::Result<bool> {
    let message = RouteNetlinkMessage::NewQueueDiscipline(qdisc(ifindex));
    match request(message, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, |_| ()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            is_clsact(ifindex).map(|()| false)
        }
        Err(error) => Err(error),
    }
}

/// In its place there may be the older `ingress`, which takes filters for both hooks and runs them all at the first one.
fn is_clsact(ifindex: u32) -> io::Result<()> {
    let message = RouteNetlinkMessage::GetQueueDiscipline(qdisc(ifindex));
    request(message, NLM_F_ACK, |_| ()).map_err(|error| match error.raw_os_error() {
        // The kernel compares the kinds.
        Some(libc::EINVAL) => io::Error::other(
            "it has the qdisc `ingress`, which has no place for what is sent; `tc qdisc del dev NAME ingress` removes it",
        ),
        _ => error,
    })
}

/// Removes the qdisc if nobody has a filter in it.
pub(super) fn remove_if_empty(ifindex: u32) -> io::Result<()> {
    if count_filters(ifindex)? > 0 {
        return Ok(());
    }
    request(RouteNetlinkMessage::DelQueueDiscipline(qdisc(ifindex)), NLM_F_ACK, |_| ())
}

/// Number of filters at both hooks.
fn count_filters(ifindex: u32) -> io::Result<usize> {
    let mut count = 0;
    for hook in [INGRESS, EGRESS] {
        list_filters(ifindex, hook, |_| count += 1)?;
    }
    Ok(count)
}

/// What the kernel says of the filters at a hook, in the order in which they run.
pub(super) fn list_filters(
    ifindex: u32,
    hook: u16,
    mut each: impl FnMut(TcMessage),
) -> io::Result<()> {
    let mut message = TcMessage::with_index(index(ifindex));
    message.header.parent = TcHandle { major: TcHandle::CLSACT.major, minor: hook };
    request(RouteNetlinkMessage::GetTrafficFilter(message), NLM_F_DUMP, |answer| {
        if let RouteNetlinkMessage::NewTrafficFilter(filter) = answer {
            each(filter);
        }
    })
}

fn qdisc(ifindex: u32) -> TcMessage {
    let mut message = TcMessage::with_index(index(ifindex));
    message.header.parent = TcHandle::CLSACT;
    message.header.handle = TcHandle { major: TcHandle::CLSACT.major, minor: 0 };
    message.attributes.push(TcAttribute::Kind(KIND.into()));
    message
}

fn index(ifindex: u32) -> i32 {
    i32::try_from(ifindex).unwrap_or(-1)
}

/// One request to rtnetlink and all its answers.
fn request(
    message: RouteNetlinkMessage,
    flags: u16,
    mut each: impl FnMut(RouteNetlinkMessage),
) -> io::Result<()> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut packet = NetlinkMessage::from(message);
    packet.header.flags = NLM_F_REQUEST | flags;
    packet.finalize();
    let mut bytes = vec![0; packet.buffer_len()];
    packet.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        let mut rest = &datagram[..];
        while !rest.is_empty() {
            let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
            let length = (answer.header.length as usize).next_multiple_of(4).min(rest.len());
            match answer.payload {
                NetlinkPayload::Done(_) => return Ok(()),
                NetlinkPayload::Error(error) if error.code.is_none() => return Ok(()),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                NetlinkPayload::InnerMessage(inner) => each(inner),
                _ => {}
            }
            rest = &rest[length..];
        }
    }
}
