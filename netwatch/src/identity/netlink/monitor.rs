//! The socket of the link monitor, and when it lists everything anew.

use std::{
    collections::BTreeSet,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use netlink_sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket, protocols::NETLINK_ROUTE};
use rustix::net::sockopt;
use tokio::{sync::mpsc, task::JoinHandle, time};

use super::{
    LinkEvent, NetlinkError, named_namespaces, socket_error,
    table::{Listing, Table},
    wire::{self, FAMILY_BRIDGE, Message},
};
use crate::model::Container;

const GROUPS: [u32; 4] =
    [libc::RTNLGRP_LINK, libc::RTNLGRP_IPV4_IFADDR, libc::RTNLGRP_IPV6_IFADDR, libc::RTNLGRP_NEIGH];
/// Room for some thousand messages while the reader of the channel is busy.
const RECEIVE_BUFFER: i32 = 4 << 20;
/// The kernel never writes a larger datagram.
const DATAGRAM: usize = 64 << 10;
/// A listing takes milliseconds; one that takes this long has lost its end.
const LISTING_TIMEOUT: Duration = Duration::from_secs(3);
/// `NLM_F_DUMP_INTR`: the list changed while it was written.
const INTERRUPTED: u16 = 0x10;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// How often a listing that was interrupted is begun again before it is taken as it is.
const ATTEMPTS: u32 = 5;

/// What went wrong and was mended, since the start.
#[derive(Debug, Default)]
pub struct LinkCounters {
    /// Times that the kernel dropped messages because we were slow; each led to a new listing.
    pub overruns: AtomicU64,
    /// Messages that could not be understood.
    pub malformed: AtomicU64,
    /// Errors that the kernel answered, and other failures of the socket.
    pub errors: AtomicU64,
}

/// Watches the host's interfaces for as long as it lives.
#[derive(Debug)]
pub struct LinkMonitor {
    task: JoinHandle<()>,
    counters: Arc<LinkCounters>,
}

impl LinkMonitor {
    /// Subscribes, then lists, then follows. Must be called within a Tokio runtime.
    pub fn spawn(events: mpsc::Sender<LinkEvent>) -> Result<Self, NetlinkError> {
        Self::with_buffer(events, RECEIVE_BUFFER)
    }

    pub(super) fn with_buffer(
        events: mpsc::Sender<LinkEvent>,
        buffer: i32,
    ) -> Result<Self, NetlinkError> {
        let counters = Arc::new(LinkCounters::default());
        let (socket, port) = open(buffer)?;
        let follower = Follower {
            socket,
            port,
            events,
            counters: Arc::clone(&counters),
            table: Table::default(),
            sequence: 0,
            interrupted: false,
            again: false,
            attempts: 0,
            deadline: None,
            peers: BTreeSet::new(),
            named: Vec::new(),
        };
        Ok(Self { task: tokio::spawn(follower.run()), counters })
    }

    /// What went wrong so far.
    pub fn counters(&self) -> Arc<LinkCounters> {
        Arc::clone(&self.counters)
    }
}

impl Drop for LinkMonitor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The socket, and the number by which the kernel knows it.
fn open(buffer: i32) -> Result<(TokioSocket, u32), NetlinkError> {
    let mut socket =
        <TokioSocket as AsyncSocket>::new(NETLINK_ROUTE).map_err(socket_error("open"))?;
    let size = usize::try_from(buffer).unwrap_or_default();
    let forced = sockopt::set_socket_recv_buffer_size_force(socket.socket_ref(), size);
    if forced.is_err() {
        // Without CAP_NET_ADMIN more than `rmem_max` is cut to that by the kernel: no error.
        socket.socket_ref().set_rx_buf_sz(buffer).map_err(socket_error("size"))?;
    }
    let address = socket.socket_mut().bind_auto().map_err(socket_error("bind"))?;
    for group in GROUPS {
        socket.socket_ref().add_membership(group).map_err(socket_error("subscribe"))?;
    }
    Ok((socket, address.port_number()))
}

struct Follower {
    socket: TokioSocket,
    port: u32,
    events: mpsc::Sender<LinkEvent>,
    counters: Arc<LinkCounters>,
    table: Table,
    /// Number of the request that runs.
    sequence: u32,
    interrupted: bool,
    /// Messages were lost while a listing ran.
    again: bool,
    attempts: u32,
    deadline: Option<time::Instant>,
    peers: BTreeSet<i32>,
    named: Vec<(Container, i32)>,
}

impl Follower {
    async fn run(mut self) {
        let mut datagram = Vec::with_capacity(DATAGRAM);
        let mut out = Vec::new();
        self.list(Listing::Links, &mut out).await;
        loop {
            datagram.clear();
            let deadline = self.deadline;
            let received = tokio::select! {
                () = self.events.closed() => return,
                received = self.socket.recv_from(&mut datagram) => received,
                () = async { time::sleep_until(deadline.unwrap_or_else(time::Instant::now)).await }, if deadline.is_some() => {
                    self.list(Listing::Links, &mut out).await;
                    continue;
                }
            };
            match received {
                Ok(sender) if sender.port_number() == 0 => {
                    self.datagram(&datagram, Instant::now(), &mut out).await;
                }
                // Another process wrote to us: nothing that we have to believe.
                Ok(_) => bump(&self.counters.malformed),
                Err(error) => self.lost(&error, &mut out).await,
            }
            for event in out.drain(..) {
                if self.events.send(event).await.is_err() {
                    return;
                }
            }
            if self.refresh_names().await.is_err() {
                return;
            }
        }
    }

    async fn datagram(&mut self, datagram: &[u8], seen_at: Instant, out: &mut Vec<LinkEvent>) {
        for message in wire::messages(datagram) {
            // What is told to everybody bears the port and number of whoever caused it: a number alone proves nothing.
            let answer = message.port == self.port;
            // Leftovers of a listing that was given up would bring back what has gone since.
            if answer && message.sequence != self.sequence {
                continue;
            }
            match message.kind {
                NLMSG_DONE => self.listed(out).await,
                NLMSG_ERROR => self.refused(&message, out),
                _ => {
                    self.interrupted |= answer && message.flags & INTERRUPTED != 0;
                    self.table.apply(&message, seen_at, out);
                }
            }
        }
        self.counters
            .malformed
            .fetch_add(std::mem::take(&mut self.table.malformed), Ordering::Relaxed);
    }

    /// A listing came to its end: the next one, or the first again if what it told was torn.
    async fn listed(&mut self, out: &mut Vec<LinkEvent>) {
        let Some(listing) = self.table.listing else { return };
        if self.again {
            return self.list(Listing::Links, out).await;
        }
        if self.interrupted && self.attempts < ATTEMPTS {
            self.attempts += 1;
            return self.list(listing, out).await;
        }
        out.extend(self.table.finish());
        self.attempts = 0;
        self.deadline = None;
        match listing {
            Listing::Links => self.list(Listing::Addresses, out).await,
            Listing::Addresses => self.list(Listing::Forwarding, out).await,
            Listing::Forwarding => {}
        }
    }

    fn refused(&mut self, message: &Message<'_>, out: &mut Vec<LinkEvent>) {
        let code = wire::i32_at(message.payload).unwrap_or_default();
        // Busy: a listing that was given up still runs. The deadline asks again.
        if code == 0 || -code == libc::EBUSY {
            return;
        }
        bump(&self.counters.errors);
        let source = io::Error::from_raw_os_error(-code);
        let request = match self.table.listing {
            Some(Listing::Links) | None => "to list the interfaces",
            Some(Listing::Addresses) => "to list the addresses",
            Some(Listing::Forwarding) => "to list the bridges' forwarding tables",
        };
        let error = NetlinkError::Refused { request, source };
        tracing::warn!(%error, "netlink");
        out.push(LinkEvent::Failed(error.to_string()));
        // A kernel without bridges has no forwarding table to list; the rest is as good without it.
        if self.table.listing == Some(Listing::Forwarding) {
            self.table.finish();
            self.deadline = None;
        }
    }

    async fn lost(&mut self, error: &io::Error, out: &mut Vec<LinkEvent>) {
        if error.raw_os_error() == Some(libc::ENOBUFS) {
            bump(&self.counters.overruns);
            tracing::warn!(
                "the kernel dropped messages about interfaces, because netwatch was slow to hear them; listing all of them anew"
            );
        } else {
            bump(&self.counters.errors);
            tracing::warn!(%error, "cannot read from netlink");
            out.push(LinkEvent::Failed(format!("cannot read from netlink: {error}")));
            time::sleep(Duration::from_millis(200)).await;
        }
        // The kernel does not begin a listing while another one runs.
        if self.table.listing.is_some() {
            self.again = true;
        } else {
            self.list(Listing::Links, out).await;
        }
    }

    /// Asks for a listing.
    async fn list(&mut self, listing: Listing, out: &mut Vec<LinkEvent>) {
        self.table.begin(listing);
        (self.interrupted, self.again) = (false, false);
        self.sequence = self.sequence.checked_add(1).unwrap_or(1);
        self.deadline = Some(time::Instant::now() + LISTING_TIMEOUT);
        let (kind, body): (u16, &[u8]) = match listing {
            Listing::Links => (libc::RTM_GETLINK, &[0; 16]),
            Listing::Addresses => (libc::RTM_GETADDR, &[0; 8]),
            Listing::Forwarding => {
                (libc::RTM_GETNEIGH, &[FAMILY_BRIDGE, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
            }
        };
        let flags = u16::try_from(libc::NLM_F_REQUEST | libc::NLM_F_DUMP).unwrap_or_default();
        let request = wire::request(kind, flags, self.sequence, body);
        if let Err(error) = self.socket.send_to(&request, &SocketAddr::new(0, 0)).await {
            bump(&self.counters.errors);
            out.push(LinkEvent::Failed(format!("cannot ask the kernel through netlink: {error}")));
        }
    }

    /// Named namespaces come and go with the veths that lead into them.
    async fn refresh_names(&mut self) -> Result<(), mpsc::error::SendError<LinkEvent>> {
        let peers = self.table.peer_namespaces();
        if self.table.listing.is_some() || peers == self.peers {
            return Ok(());
        }
        self.peers = peers;
        let named = named_namespaces();
        if named == self.named {
            return Ok(());
        }
        self.named.clone_from(&named);
        self.events.send(LinkEvent::Namespaces(named)).await
    }
}

fn bump(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
