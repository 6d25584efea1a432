//! Frames of a test's own, put on an interface of a test's own.

#![expect(unsafe_code, reason = "the standard library has no packet sockets")]

use std::{
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

/// Sends a frame through an interface of this network namespace, as an skb with no more than the Ethernet header in its
/// linear part. The kernel does so for frames that do not fit in a page, if it is told how long their headers are
/// (net/packet/af_packet.c, `packet_alloc_skb`).
pub fn send_paged(ifindex: u32, frame: &[u8]) {
    assert!(frame.len() > 4096, "a shorter one would be linear");
    // SAFETY: no pointers; the descriptor is owned from here on.
    let socket = unsafe {
        let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0);
        assert!(fd >= 0, "a packet socket: {}", io::Error::last_os_error());
        OwnedFd::from_raw_fd(fd)
    };
    let on = 1_i32;
    // SAFETY: the option is an int.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_VNET_HDR,
            (&raw const on).cast(),
            4,
        )
    };
    assert_eq!(result, 0, "PACKET_VNET_HDR: {}", io::Error::last_os_error());
    // `struct virtio_net_hdr` (linux/virtio_net.h): no checksum, no GSO, headers of 14 bytes.
    let message = [&[0, 0, 14, 0, 0, 0, 0, 0, 0, 0], frame].concat();
    // SAFETY: all zeroes is a valid address, and what is needed of it is set.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = u16::try_from(libc::AF_PACKET).unwrap();
    address.sll_ifindex = i32::try_from(ifindex).unwrap();
    // SAFETY: message and address are as long as is said.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            message.as_ptr().cast(),
            message.len(),
            0,
            (&raw const address).cast(),
            u32::try_from(size_of_val(&address)).unwrap(),
        )
    };
    assert_eq!(usize::try_from(sent), Ok(message.len()), "{}", io::Error::last_os_error());
}
