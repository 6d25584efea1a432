//! An ICMP echo (RFC 792), because a bare host has no `ping`.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    os::fd::{FromRawFd as _, OwnedFd},
    process,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

const TIMEOUT: Duration = Duration::from_secs(1);
const ECHO_REQUEST: u8 = 8;
const HEADER: usize = 8;
/// What `ping` sends by default, so that the packets look like its.
const LENGTH: usize = HEADER + 56;

/// A raw socket and whom it pings.
pub(super) struct Ping {
    socket: UdpSocket,
    to: SocketAddr,
    identifier: u16,
}

impl Ping {
    pub(super) fn new(to: &str) -> Result<Self> {
        let to = SocketAddr::new(to.parse()?, 0);
        // std has no raw sockets, but a datagram socket's calls are the same.
        let socket = UdpSocket::from(raw_socket().context("opening a raw socket")?);
        socket.set_read_timeout(Some(TIMEOUT))?;
        let [_, _, high, low] = process::id().to_be_bytes();
        Ok(Self { socket, to, identifier: u16::from_be_bytes([high, low]) })
    }

    /// One request and its reply.
    pub(super) fn once(&self, turn: u64) -> Result<()> {
        let [.., high, low] = turn.to_be_bytes();
        let request = request(self.identifier, u16::from_be_bytes([high, low]));
        self.socket.send_to(&request, self.to)?;
        let begin = Instant::now();
        let mut packet = [0; 1500];
        while begin.elapsed() < TIMEOUT {
            let length = self.socket.recv(&mut packet).context("waiting for the reply")?;
            // The kernel hands over the IPv4 header too, and everybody's ICMP.
            if is_reply(&packet[..length], &request) {
                return Ok(());
            }
        }
        bail!("no reply")
    }
}

fn request(identifier: u16, sequence: u16) -> [u8; LENGTH] {
    let mut message = [0; LENGTH];
    message[0] = ECHO_REQUEST;
    message[4..6].copy_from_slice(&identifier.to_be_bytes());
    message[6..8].copy_from_slice(&sequence.to_be_bytes());
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

/// Whether an IPv4 packet is the echo reply with the request's identifier and sequence number.
fn is_reply(packet: &[u8], request: &[u8]) -> bool {
    let header = packet.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
    packet.get(header..).is_some_and(|icmp| {
        icmp.first() == Some(&0) && icmp.get(4..HEADER) == request.get(4..HEADER)
    })
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

#[expect(unsafe_code, reason = "std has no raw sockets")]
fn raw_socket() -> io::Result<OwnedFd> {
    // SAFETY: socket takes three integers and touches no memory of ours.
    let fd = unsafe {
        libc::socket(libc::AF_INET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::IPPROTO_ICMP)
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just opened and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_sums_to_zero() {
        assert_eq!(checksum(&request(0x1234, 7)), 0);
    }

    #[test]
    fn only_our_reply_is_taken() {
        let request = request(1, 2);
        let mut packet = [&[0x45][..], &[0; 19], &request].concat();
        assert!(!is_reply(&packet, &request), "our own request");
        packet[20] = 0;
        assert!(is_reply(&packet, &request));
        packet[26] = 9;
        assert!(!is_reply(&packet, &request), "another sequence number");
        assert!((0..28).all(|length| !is_reply(&packet[..length], &request)), "truncated");
    }
}
