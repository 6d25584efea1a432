//! What really passed an interface, counted by other means than netwatch's: a packet socket (packet(7)), and a parser of
//! other people's.

use std::{collections::HashMap, io::Read as _, mem::MaybeUninit};

use anyhow::{Context as _, Result};
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use netwatch::model::{Protocol, Socket, Tally};
use socket2::{Domain, SockAddr, SockAddrStorage, Socket as RawSocket, Type};

use crate::network::{Family, Node};

/// Bytes in front of each packet that say how it will be segmented (`struct virtio_net_hdr`, linux/virtio_net.h).
const GSO_HEADER: usize = 10;
const GSO_SIZE: usize = 4;
/// A VLAN tag (IEEE 802.1Q).
pub const TAG: usize = 4;
/// The largest packet: the whole of an IP packet and its Ethernet header.
const LARGEST: usize = GSO_HEADER + 14 + 65_535 + 40;
/// What may wait: more than any check sends.
const ROOM: usize = 8 << 20;

/// Packets of one protocol from one end to another. The ports of a fragment are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Way {
    pub source: Socket,
    pub destination: Socket,
    pub protocol: Protocol,
}

impl Way {
    pub fn back(self) -> Self {
        Self { source: self.destination, destination: self.source, ..self }
    }

    /// What its fragments are counted under.
    pub fn without_ports(self) -> Self {
        let bare = |socket: Socket| Socket { port: 0, ..socket };
        Self { source: bare(self.source), destination: bare(self.destination), ..self }
    }
}

/// Counts at one interface from the moment it is made.
pub struct Witness {
    socket: RawSocket,
    /// Bytes of the VLAN tag that the kernel keeps beside a packet, and that are on the wire all the same.
    tag: usize,
    seen: HashMap<Way, Tally>,
}

impl Witness {
    /// At a node's own end, for packets between addresses of this family.
    pub fn at(node: &Node, family: Family) -> Result<Self> {
        let socket = node.namespace.enter(|| open(node.inside)).context("a packet socket")?;
        Ok(Self { socket, tag: if family.is_tagged() { TAG } else { 0 }, seen: HashMap::new() })
    }

    /// What has passed so far.
    pub fn count(&mut self, way: Way) -> Result<Tally> {
        self.read().context("reading a packet socket")?;
        Ok(self.seen.get(&way).copied().unwrap_or_default())
    }

    fn read(&mut self) -> std::io::Result<()> {
        let mut bytes = vec![0; LARGEST];
        loop {
            match (&self.socket).read(&mut bytes) {
                Ok(length) if length > GSO_HEADER => {
                    let (gso, packet) = bytes[..length].split_at(GSO_HEADER);
                    let gso_size = u16::from_ne_bytes([gso[GSO_SIZE], gso[GSO_SIZE + 1]]);
                    if let Some((way, header_len)) = parse(packet) {
                        *self.seen.entry(way).or_default() +=
                            weigh(packet.len(), header_len, gso_size.into(), self.tag);
                    }
                }
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

/// One packet of the kernel's and what it is on the wire.
fn weigh(length: usize, header_len: usize, gso_size: usize, tag: usize) -> Tally {
    let segments = if gso_size == 0 { 1 } else { (length - header_len).div_ceil(gso_size).max(1) };
    Tally {
        packets: 1,
        segments: segments as u64,
        bytes: (length + (segments - 1) * header_len + segments * tag) as u64,
    }
}

/// Whose packet it is, and the length of its headers. `None` for what is not IP.
fn parse(bytes: &[u8]) -> Option<(Way, usize)> {
    let packet = SlicedPacket::from_ethernet(bytes).ok()?;
    let (source, destination, payload) = match packet.net? {
        NetSlice::Ipv4(ip) => (
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
            ip.payload().clone(),
        ),
        NetSlice::Ipv6(ip) => (
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
            ip.payload().clone(),
        ),
        NetSlice::Arp(_) => return None,
    };
    let (ports, header_len) = match packet.transport {
        Some(TransportSlice::Tcp(tcp)) => {
            ((tcp.source_port(), tcp.destination_port()), tcp.header_slice().len())
        }
        Some(TransportSlice::Udp(udp)) => ((udp.source_port(), udp.destination_port()), 8),
        // The identifier of an echo stands for both ports.
        Some(TransportSlice::Icmpv4(icmp)) => (twice(identifier(icmp.slice(), [8, 0])), 8),
        Some(TransportSlice::Icmpv6(icmp)) => (twice(identifier(icmp.slice(), [128, 129])), 8),
        _ => ((0, 0), 0),
    };
    let way = Way {
        source: Socket { address: source, port: ports.0 },
        destination: Socket { address: destination, port: ports.1 },
        protocol: Protocol(payload.ip_number.0.into()),
    };
    let before = payload.payload.as_ptr().addr() - bytes.as_ptr().addr();
    Some((way, before + header_len))
}

fn identifier(icmp: &[u8], echo: [u8; 2]) -> u16 {
    match icmp {
        [kind, _, _, _, high, low, ..] if echo.contains(kind) => u16::from_be_bytes([*high, *low]),
        _ => 0,
    }
}

fn twice(port: u16) -> (u16, u16) {
    (port, port)
}

fn open(index: u32) -> Result<RawSocket> {
    // Without a protocol it hears nothing until it is bound.
    let socket = RawSocket::new(Domain::PACKET, Type::RAW, None)?;
    socket.set_recv_buffer_size(ROOM)?;
    with_gso_headers(&socket)?;
    socket.bind(&everything_at(index)?)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[expect(unsafe_code, reason = "socket2 does not know this option")]
fn with_gso_headers(socket: &RawSocket) -> std::io::Result<()> {
    use std::os::fd::AsRawFd as _;
    let on: libc::c_int = 1;
    // SAFETY: a socket of ours, and the option's value is an int.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_VNET_HDR,
            (&raw const on).cast(),
            length_of::<libc::c_int>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

#[expect(unsafe_code, reason = "socket2 makes no addresses of packet sockets")]
fn everything_at(index: u32) -> Result<SockAddr> {
    let address = libc::sockaddr_ll {
        sll_family: libc::sa_family_t::try_from(libc::AF_PACKET)?,
        sll_protocol: u16::try_from(libc::ETH_P_ALL)?.to_be(),
        sll_ifindex: i32::try_from(index)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let mut storage = MaybeUninit::<SockAddrStorage>::zeroed();
    // SAFETY: all zeroes is a valid storage, it is larger than an address of any kind, and its family says which kind.
    Ok(unsafe {
        storage.as_mut_ptr().cast::<libc::sockaddr_ll>().write(address);
        SockAddr::new(storage.assume_init(), length_of::<libc::sockaddr_ll>())
    })
}

#[expect(clippy::cast_possible_truncation, reason = "a socket option or an address: a few bytes")]
const fn length_of<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}
