//! Frames of a test's own, put on an interface of a test's own, and those that pass there.

#![expect(unsafe_code, reason = "the standard library has no packet sockets")]

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    mem::MaybeUninit,
    os::fd::{AsRawFd as _, OwnedFd},
};

use etherparse::PacketBuilder;
use socket2::{Domain, SockAddr, SockAddrStorage, Socket, Type};

/// Sends through one interface of this network namespace.
pub struct Sender(File);

impl Sender {
    pub fn at(ifindex: u32) -> Self {
        Self(File::from(OwnedFd::from(packet_socket(ifindex, 0))))
    }

    /// Sends a frame. The programs have seen it at the interface's egress hook when this is done.
    pub fn send(&mut self, frame: &[u8]) {
        let sent = self.0.write(frame).expect("the interface is there and up");
        assert_eq!(sent, frame.len());
    }

    /// The same where the interface may have gone.
    pub fn try_send(&mut self, frame: &[u8]) -> bool {
        self.0.write(frame).is_ok()
    }
}

/// Bytes of a [`datagram`].
pub const DATAGRAM: u64 = 60;

/// A frame with a UDP packet from a port of 192.0.2.2 to 192.0.2.1, where nobody is.
pub fn datagram(port: u16) -> Vec<u8> {
    let step = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([192, 0, 2, 2], [192, 0, 2, 1], 64)
        .udp(port, 9);
    let mut bytes = Vec::new();
    step.write(&mut bytes, &[0; 18]).expect("a frame");
    bytes
}

/// Keeps what passes an interface, both ways, from the moment that it is made.
pub struct Capture(Socket);

impl Capture {
    /// What may wait until it is taken out.
    const ROOM: usize = 64 << 20;

    pub fn at(ifindex: u32) -> Self {
        let socket = packet_socket(ifindex, u16::try_from(libc::ETH_P_ALL).unwrap());
        set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, Self::ROOM);
        socket.set_nonblocking(true).expect("a socket that does not wait");
        Self(socket)
    }

    /// All frames until now.
    pub fn frames(&self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut buffer = vec![0; 1 << 17];
        loop {
            match (&self.0).read(&mut buffer) {
                Ok(length) => frames.push(buffer[..length].to_vec()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return frames,
                Err(error) => panic!("a packet socket: {error}"),
            }
        }
    }
}

/// Sends a frame through an interface of this network namespace, as an skb with no more than the Ethernet header in its
/// linear part. The kernel does so for frames that do not fit in a page, if it is told how long their headers are
/// (net/packet/af_packet.c, `packet_alloc_skb`).
pub fn send_paged(ifindex: u32, frame: &[u8]) {
    assert!(frame.len() > 4096, "a shorter one would be linear");
    let socket = packet_socket(ifindex, 0);
    set_option(&socket, libc::SOL_PACKET, libc::PACKET_VNET_HDR, 1);
    // `struct virtio_net_hdr` (linux/virtio_net.h): no checksum, no GSO, headers of 14 bytes.
    let message = [&[0, 0, 14, 0, 0, 0, 0, 0, 0, 0], frame].concat();
    assert_eq!(socket.send(&message).expect("the interface is there and up"), message.len());
}

/// A socket that sends through an interface and hears what is of a protocol there; of protocol 0 is nothing.
fn packet_socket(ifindex: u32, protocol: u16) -> Socket {
    // Without a protocol it hears nothing until it is bound.
    let socket = Socket::new(Domain::PACKET, Type::RAW, None).expect("a packet socket");
    let address = libc::sockaddr_ll {
        sll_family: libc::sa_family_t::try_from(libc::AF_PACKET).unwrap(),
        sll_protocol: protocol.to_be(),
        sll_ifindex: i32::try_from(ifindex).unwrap(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = libc::socklen_t::try_from(size_of_val(&address)).unwrap();
    let mut storage = MaybeUninit::<SockAddrStorage>::zeroed();
    // SAFETY: all zeroes is a valid storage, it is larger than an address of any kind, and its family says which kind.
    let address = unsafe {
        storage.as_mut_ptr().cast::<libc::sockaddr_ll>().write(address);
        SockAddr::new(storage.assume_init(), length)
    };
    socket.bind(&address).expect("an interface of this namespace");
    socket
}

/// Sets an option whose value is a number.
fn set_option(socket: &Socket, level: i32, name: i32, value: usize) {
    let value = i32::try_from(value).unwrap();
    // SAFETY: a socket of ours, and the option's value is an int.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), 4) };
    assert_eq!(result, 0, "a socket option: {}", io::Error::last_os_error());
}
