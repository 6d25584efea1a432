//! All connections that there are, a piece at a time and at a socket of its own: what is told of new ones waits behind none
//! of them, and neither does anything else.

use std::{collections::HashSet, io, time::Duration};

use netlink_sys::{Socket as Netlink, SocketAddr, protocols::NETLINK_NETFILTER};

use super::{CT_NEW, Connection, DATAGRAM, HEADER, connection, wire};
use crate::model::{Instant, Protocol, Socket};

/// `NFNL_SUBSYS_CTNETLINK` with `IPCTNL_MSG_CT_GET`.
const CT_GET: u16 = 0x101;
/// `NLM_F_REQUEST`, `NLM_F_DUMP`.
const LIST: u16 = 0x301;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

/// All connections are not listed more often than this, however often messages are lost.
const INTERVAL: Duration = Duration::from_secs(5);
/// A piece, in datagrams of some hundred connections each, and the time from one to the next: a quarter of a million
/// connections take three seconds.
const PIECE: usize = 8;
const PIECE_INTERVAL: Duration = Duration::from_millis(10);
/// Connections that are remembered to be newer than the listing.
const MOST_BEGUN: usize = 65_536;

/// How it stands with the listing of all connections.
#[derive(Debug, Default)]
pub(super) struct Listing {
    running: Option<Running>,
    /// All are to be listed, and not before this time.
    due: Option<Instant>,
    pub(super) lacking: Option<String>,
}

#[derive(Debug)]
struct Running {
    socket: Netlink,
    port: u32,
    next: Instant,
    /// The first packets of connections that have begun meanwhile. What is listed of the same addresses may be the one before.
    begun: HashSet<(Protocol, (Socket, Socket))>,
}

/// What the answer to a request says.
enum Part {
    Connection(Connection),
    /// With the kernel's error, or 0.
    End(i32),
}

impl Listing {
    /// Asks for all of them.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        let mut socket = Netlink::new(NETLINK_NETFILTER)?;
        socket.set_non_blocking(true)?;
        let port = socket.bind_auto()?.port_number();
        socket.send_to(&wire::request(CT_GET, LIST, 1, &[0; HEADER]), &SocketAddr::new(0, 0), 0)?;
        let (next, begun) = (Instant::default(), HashSet::new());
        self.running = Some(Running { socket, port, next, begun });
        Ok(())
    }

    /// A connection has begun.
    pub(super) fn has_begun(&mut self, connection: &Connection) {
        if let Some(running) = &mut self.running
            && running.begun.len() < MOST_BEGUN
        {
            running.begun.insert((connection.protocol, connection.original));
        }
    }

    /// They are to be listed, again or for the first time.
    pub(super) fn demand(&mut self, now: Instant) {
        self.due = self.due.or(Some(now.after(INTERVAL)));
    }

    /// The next piece, when its time has come. All that has been told of new ones has to have been heard.
    pub(super) fn read(&mut self, now: Instant, mut hear: impl FnMut(Connection)) {
        if self.due.is_some_and(|due| now >= due) && self.running.is_none() {
            self.due = self.begin().err().map(|_| now.after(INTERVAL));
        }
        let Some(running) = self.running.as_mut().filter(|running| now >= running.next) else {
            return;
        };
        running.next = now.after(PIECE_INTERVAL);
        if let Some(code) = running.piece(&mut hear) {
            self.end(code, now);
        }
    }

    /// It has ended, with the kernel's error or 0. One that was refused, or broke off, is tried again.
    pub(super) fn end(&mut self, code: i32, now: Instant) {
        self.running = None;
        if code == 0 {
            self.lacking = None;
            return;
        }
        let error = io::Error::from_raw_os_error(code.saturating_neg());
        let lacking = format!("the kernel does not list connections: {error}");
        // As it is tried again and again, it is said once.
        if self.lacking.as_ref() != Some(&lacking) {
            tracing::warn!("{lacking}");
        }
        self.lacking = Some(lacking);
        self.demand(now);
    }
}

impl Running {
    /// Answers with how it has ended, if it has.
    fn piece(&self, hear: &mut impl FnMut(Connection)) -> Option<i32> {
        let mut datagram = Vec::with_capacity(DATAGRAM);
        for _ in 0..PIECE {
            datagram.clear();
            match self.socket.recv_from(&mut datagram, 0) {
                // Another process wrote to us: nothing that we have to believe.
                Ok((_, sender)) if sender.port_number() != 0 => {}
                Ok(_) => {
                    for part in parts(&datagram, self.port) {
                        match part {
                            Part::Connection(connection) if self.is_of_before(&connection) => {
                                hear(connection);
                            }
                            Part::Connection(_) => {}
                            Part::End(code) => return Some(code),
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) => return Some(-error.raw_os_error().unwrap_or(libc::EIO)),
            }
        }
        None
    }

    fn is_of_before(&self, connection: &Connection) -> bool {
        !self.begun.contains(&(connection.protocol, connection.original))
    }
}

fn parts(datagram: &[u8], port: u32) -> impl Iterator<Item = Part> {
    let ours = wire::messages(datagram).filter(move |message| message.port == port);
    ours.filter_map(|message| match message.kind {
        CT_NEW => connection(message.payload).map(Part::Connection),
        // Both begin with an error or 0.
        NLMSG_DONE | NLMSG_ERROR => {
            Some(Part::End(wire::i32_at(message.payload).unwrap_or_default()))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_ends_with_an_error_is_tried_again() {
        let now = Instant(1_000);
        let mut listing = Listing::default();
        listing.end(-libc::ENOMEM, now);
        assert!(listing.running.is_none() && listing.lacking.is_some());
        assert_eq!(listing.due, Some(now.after(INTERVAL)));
        listing.due = None;
        listing.end(0, now);
        assert!(listing.due.is_none() && listing.lacking.is_none());
    }

    #[test]
    fn what_has_begun_meanwhile_is_newer_than_what_is_listed() {
        let socket = |port| Socket { address: [192, 0, 2, 1].into(), port };
        let known = |port| {
            let ends = (socket(port), socket(80));
            Connection { protocol: Protocol::TCP, original: ends, reply: (ends.1, ends.0) }
        };
        let mut listing = Listing::default();
        listing.has_begun(&known(1));
        let netlink = Netlink::new(NETLINK_NETFILTER).unwrap();
        let running = Running { socket: netlink, port: 1, next: Instant(0), begun: HashSet::new() };
        listing.running = Some(running);
        listing.has_begun(&known(2));
        let is_of_before = |port| listing.running.as_ref().unwrap().is_of_before(&known(port));
        assert!(is_of_before(1) && !is_of_before(2));
    }
}
