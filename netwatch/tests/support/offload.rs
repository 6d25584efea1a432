//! What an interface leaves to the hardware.

#![expect(unsafe_code, reason = "the standard library has no ioctl")]

use std::{ffi::CString, io, net::UdpSocket, os::fd::AsRawFd as _};

/// `ETHTOOL_STSO` (linux/ethtool.h).
const SET_TCP_SEGMENTATION: u32 = 0x1f;

/// `struct ethtool_value`.
#[repr(C)]
struct Setting {
    command: u32,
    value: u32,
}

/// As `ethtool -K INTERFACE tso off`: TCP still hands over packets larger than the MTU (GSO), and the kernel cuts them right
/// before the interface, behind the egress hook.
pub fn no_tcp_segmentation(interface: &str) {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("any socket of this namespace");
    let mut setting = Setting { command: SET_TCP_SEGMENTATION, value: 0 };
    // SAFETY: all zeroes is a valid request.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let name = CString::new(interface).expect("a name");
    for (to, from) in request.ifr_name.iter_mut().zip(name.as_bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_data = (&raw mut setting).cast();
    // SAFETY: a request with the name of an interface and a setting, which both live until the call is over.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
    assert_eq!(result, 0, "ethtool -K {interface} tso off: {}", io::Error::last_os_error());
}
