//! What the kernel tells of connections that it tracks, which it may give other addresses (ctnetlink).
//!
//! Promises: never blocks. A connection is told before any packet of it leaves the host's stack, so whoever has seen one
//! there and then asks here has heard of it. After lost messages everything is listed again, a piece at a time; between listing
//! and following nothing falls, and what is listed late is not taken for newer. Only the network namespace that the agent is in. Works from Linux 2.6.14 on, with `CAP_NET_ADMIN`.

mod listing;

use std::{io, net::IpAddr, os::fd::AsFd as _};

use netlink_sys::{Socket as Netlink, protocols::NETLINK_NETFILTER};

use self::listing::Listing;
use super::wire;
use crate::model::{Instant, Protocol, Socket, Translation, Translator};

/// `NFNLGRP_CONNTRACK_NEW`.
const GROUP_NEW: u32 = 1;
/// `NFNL_SUBSYS_CTNETLINK` with `IPCTNL_MSG_CT_NEW`.
const CT_NEW: u16 = 0x100;
/// `struct nfgenmsg`.
const HEADER: usize = 4;

const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
/// `CTA_IP_V4_SRC` and `CTA_IP_V6_SRC`, the destinations.
const SOURCES: [u16; 2] = [1, 3];
const DESTINATIONS: [u16; 2] = [2, 4];
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_SRC_PORT: u16 = 2;
const CTA_PROTO_DST_PORT: u16 = 3;
/// `CTA_PROTO_ICMP_ID` and `CTA_PROTO_ICMPV6_ID`.
const IDENTIFIERS: [u16; 2] = [4, 7];

/// Room for what comes until the next reading.
const RECEIVE_BUFFER: usize = 4 << 20;
/// The kernel never writes a larger datagram.
const DATAGRAM: usize = 64 << 10;
/// No more datagrams than this are read at a time, however fast connections begin.
const AT_A_TIME: usize = 4_096;

/// A connection that the kernel tracks: who called whom, and who answers whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Transport protocol.
    pub protocol: Protocol,
    /// Source and destination of the first packet, as it was sent.
    pub original: (Socket, Socket),
    /// The same of an answer.
    pub reply: (Socket, Socket),
}

/// What is heard of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracked {
    /// It has begun just now, after all that was told before.
    New(Connection),
    /// It was there before.
    Known(Connection),
    /// Messages were lost. All that is there is told again.
    Lost,
}

impl Connection {
    /// The kernel's translation of it, if there is one.
    pub fn translation(&self) -> Option<Translation> {
        let (client, called) = self.original;
        let (server, masked) = self.reply;
        let by = Translator::Kernel;
        let found = Translation { protocol: self.protocol, client, called, server, masked, by };
        (called != server || client != masked).then_some(found)
    }
}

/// Follows the connections that the kernel tracks.
#[derive(Debug)]
pub struct Conntrack {
    socket: Netlink,
    datagram: Vec<u8>,
    listing: Listing,
}

impl Conntrack {
    /// Subscribes. The error says what is lacking.
    pub fn open() -> Result<Self, String> {
        let failed = |error: io::Error| match error.raw_os_error() {
            Some(libc::EPROTONOSUPPORT) => "the kernel has no netfilter".to_owned(),
            _ => format!("conntrack over netlink: {error}"),
        };
        let mut socket = Netlink::new(NETLINK_NETFILTER).map_err(failed)?;
        socket.set_non_blocking(true).map_err(failed)?;
        // Without the right to it the usual buffer has to do: messages are lost sooner.
        if rustix::net::sockopt::set_socket_recv_buffer_size_force(socket.as_fd(), RECEIVE_BUFFER)
            .is_err()
        {
            socket.set_rx_buf_sz(RECEIVE_BUFFER).map_err(failed)?;
        }
        socket.bind_auto().map_err(failed)?;
        socket.add_membership(GROUP_NEW).map_err(failed)?;
        let mut listing = Listing::default();
        listing.begin().map_err(failed)?;
        Ok(Self { socket, datagram: Vec::with_capacity(DATAGRAM), listing })
    }

    /// Whether it would work. The error says what is lacking.
    pub fn attempt() -> Result<(), String> {
        let mut conntrack = Self::open()?;
        conntrack.read(Instant::default(), |_| {});
        conntrack.listing.lacking.map_or(Ok(()), Err)
    }

    /// Why the kernel does not tell of connections, if it does not.
    pub fn lacking(&self) -> Option<&str> {
        self.listing.lacking.as_deref()
    }

    /// Hands out what has been heard since the last time.
    pub fn read(&mut self, now: Instant, mut hear: impl FnMut(Tracked)) {
        self.follow(now, &mut hear);
        self.listing.read(now, |connection| hear(Tracked::Known(connection)));
    }

    fn follow(&mut self, now: Instant, hear: &mut impl FnMut(Tracked)) {
        let Self { socket, datagram, listing } = self;
        for _ in 0..AT_A_TIME {
            datagram.clear();
            match socket.recv_from(datagram, 0) {
                // Another process wrote to us: nothing that we have to believe.
                Ok((_, sender)) if sender.port_number() != 0 => {}
                Ok(_) => {
                    let begun = wire::messages(datagram).filter(|message| message.kind == CT_NEW);
                    for connection in begun.filter_map(|message| connection(message.payload)) {
                        listing.has_begun(&connection);
                        hear(Tracked::New(connection));
                    }
                }
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    tracing::debug!("the kernel dropped messages about connections");
                    hear(Tracked::Lost);
                    listing.demand(now);
                }
                Err(_) => return,
            }
        }
    }
}

/// Reads the payload of a message about a connection.
fn connection(payload: &[u8]) -> Option<Connection> {
    let (mut original, mut reply) = (None, None);
    for (kind, value) in wire::attributes(payload.get(HEADER..)?) {
        match kind {
            CTA_TUPLE_ORIG => original = tuple(value),
            CTA_TUPLE_REPLY => reply = tuple(value),
            _ => {}
        }
    }
    let ((protocol, original), (_, reply)) = (original?, reply?);
    Some(Connection { protocol, original, reply })
}

fn tuple(bytes: &[u8]) -> Option<(Protocol, (Socket, Socket))> {
    let (mut source, mut destination) = (None, None);
    let (mut number, mut source_port, mut destination_port) = (None, 0, 0);
    for (kind, value) in wire::attributes(bytes) {
        for (part, value) in wire::attributes(value) {
            match (kind, part) {
                (CTA_TUPLE_IP, part) if SOURCES.contains(&part) => source = wire::ip(value),
                (CTA_TUPLE_IP, part) if DESTINATIONS.contains(&part) => {
                    destination = wire::ip(value);
                }
                (CTA_TUPLE_PROTO, CTA_PROTO_NUM) => number = value.first().copied(),
                (CTA_TUPLE_PROTO, CTA_PROTO_SRC_PORT) => source_port = port(value)?,
                (CTA_TUPLE_PROTO, CTA_PROTO_DST_PORT) => destination_port = port(value)?,
                // Flows have the identifier at both ends.
                (CTA_TUPLE_PROTO, part) if IDENTIFIERS.contains(&part) => {
                    source_port = port(value)?;
                    destination_port = source_port;
                }
                _ => {}
            }
        }
    }
    let socket = |address: IpAddr, port| Socket { address, port };
    let ends = (socket(source?, source_port), socket(destination?, destination_port));
    Some((Protocol(number?.into()), ends))
}

/// In network order, as all numbers of this family.
fn port(bytes: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.first_chunk()?))
}

#[cfg(test)]
mod tests;
