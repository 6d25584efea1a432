//! Datagrams of many flows, as fast as one CPU sends them.

#![expect(unsafe_code, reason = "packet sockets and sendmmsg are not in the standard library")]

use std::{
    ffi::CString,
    io, mem,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    time::{Duration, Instant},
};

use super::network::{DEVICE, MAC_FROM, MAC_TO, PORT, TO};
use crate::cpu;

/// Ethernet, IPv4 and UDP headers with 18 bytes behind them: the smallest frame, for which each packet costs most.
const FRAME: usize = 60;
/// Frames in one system call.
const BATCH: u32 = 256;
const FRAMES: usize = BATCH as usize;
#[expect(clippy::cast_possible_truncation, reason = "some twenty bytes")]
const ADDRESS_LENGTH: libc::socklen_t = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
/// The flows' first source port; so many of them, then the next address.
const FIRST_PORT: u32 = 0x8000;
const PORT_BITS: u32 = 14;

/// What was sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent {
    /// Packets.
    pub packets: u64,
    /// CPU time that took, with all that the kernel did with them on this CPU.
    pub cpu: Duration,
}

/// Sends datagrams of `flows` flows in turn through this thread's eth0 until the time is up.
pub fn flood(flows: u32, until: Instant) -> io::Result<Sent> {
    let socket = socket()?;
    let mut frames = [frame(); FRAMES];
    let mut pieces = frames
        .each_mut()
        .map(|frame| libc::iovec { iov_base: frame.as_mut_ptr().cast(), iov_len: FRAME });
    let mut flow = 0;
    let mut sent = Sent::default();
    let begin = cpu::time()?;
    while Instant::now() < until {
        for piece in &pieces {
            // SAFETY: each piece is one of the frames, and nothing else uses them now.
            let frame = unsafe { &mut *piece.iov_base.cast::<[u8; FRAME]>() };
            address(frame, flow);
            flow = if flow + 1 < flows { flow + 1 } else { 0 };
        }
        sent.packets += send(&socket, &mut pieces)?;
    }
    sent.cpu = cpu::time()?.saturating_sub(begin);
    Ok(sent)
}

/// A socket that sends whole frames, past the queueing discipline, which a veth does not have anyway.
fn socket() -> io::Result<OwnedFd> {
    // SAFETY: plain integers.
    let socket = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given it to us.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let name = CString::new(DEVICE)?;
    // SAFETY: a valid C string.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    // SAFETY: all zeroes is a valid address.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = u16::try_from(libc::AF_PACKET).map_err(io::Error::other)?;
    address.sll_ifindex = i32::try_from(index).map_err(io::Error::other)?;
    // SAFETY: a valid address of the length that is given.
    let bound =
        unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), ADDRESS_LENGTH) };
    if bound == 0 { Ok(socket) } else { Err(io::Error::last_os_error()) }
}

/// Sends all frames; answers with how many.
fn send(socket: &OwnedFd, pieces: &mut [libc::iovec; FRAMES]) -> io::Result<u64> {
    let mut messages = pieces.each_mut().map(|piece| {
        // SAFETY: all zeroes is a valid header without address and control data.
        let mut message: libc::mmsghdr = unsafe { mem::zeroed() };
        message.msg_hdr.msg_iov = piece;
        message.msg_hdr.msg_iovlen = 1;
        message
    });
    // SAFETY: as many valid messages as are announced, of frames that live as long as the call.
    let count = unsafe { libc::sendmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), BATCH, 0) };
    match u64::try_from(count) {
        Ok(count) => Ok(count),
        Err(_) => match io::Error::last_os_error() {
            // The device's queue is full: the packet is lost, as it would be for anybody.
            error if error.raw_os_error() == Some(libc::ENOBUFS) => Ok(0),
            error => Err(error),
        },
    }
}

/// A frame without the parts that vary.
fn frame() -> [u8; FRAME] {
    let mut frame = [0; FRAME];
    frame[..6].copy_from_slice(&MAC_TO);
    frame[6..12].copy_from_slice(&MAC_FROM);
    // IPv4 (RFC 791): header of 20 bytes, 46 in all, hop limit 64, UDP.
    frame[12..18].copy_from_slice(&[8, 0, 0x45, 0, 0, 46]);
    frame[22..24].copy_from_slice(&[64, 17]);
    frame[30..34].copy_from_slice(&TO.octets());
    // UDP (RFC 768): 26 bytes in all, without a checksum.
    frame[36..38].copy_from_slice(&PORT.to_be_bytes());
    frame[38..40].copy_from_slice(&[0, 26]);
    frame
}

/// Makes a frame one of a flow.
fn address(frame: &mut [u8; FRAME], flow: u32) {
    let source = u32::from_be_bytes([10, 112, 0, 0]) + (flow >> PORT_BITS);
    let [_, _, high, low] = (FIRST_PORT | flow & ((1 << PORT_BITS) - 1)).to_be_bytes();
    frame[26..30].copy_from_slice(&source.to_be_bytes());
    frame[34..36].copy_from_slice(&[high, low]);
    frame[24..26].fill(0);
    let checksum = checksum(&frame[14..34]);
    frame[24..26].copy_from_slice(&checksum);
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let mut sum: u32 =
        bytes.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let [_, _, high, low] = (!sum).to_be_bytes();
    [high, low]
}

#[cfg(test)]
mod tests {
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};

    use super::*;

    #[test]
    fn each_flow_is_another_and_every_header_is_right() {
        let mut seen = std::collections::BTreeSet::new();
        for flow in [0, 1, 16_383, 16_384, 499_999] {
            let mut frame = frame();
            address(&mut frame, flow);
            let packet = SlicedPacket::from_ethernet(&frame).unwrap();
            let Some(NetSlice::Ipv4(ip)) = &packet.net else { panic!("{packet:?}") };
            let header = ip.header().to_header();
            assert_eq!(header.header_checksum, header.calc_header_checksum());
            let Some(TransportSlice::Udp(udp)) = &packet.transport else { panic!("{packet:?}") };
            assert_eq!((udp.destination_port(), udp.length()), (PORT, 26));
            assert!(seen.insert((header.source, udp.source_port())));
        }
    }
}
