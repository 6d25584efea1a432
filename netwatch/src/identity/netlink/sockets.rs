//! TCP connections of the host's own sockets (`sock_diag`), for what conntrack does not tell of: it does not track a family
//! for which there are no rules, and Docker makes none for IPv6 unless it is told to.
//!
//! Promises: never blocks, gives up where there are too many, and tells only what is there at that moment, with what has ended in the last minute if the end
//! that closed first is on this host. Works from Linux 3.3 on.

use std::{
    collections::HashSet,
    io,
    net::{IpAddr, Ipv6Addr},
};

use netlink_sys::{Socket as Netlink, SocketAddr, protocols::NETLINK_SOCK_DIAG};

use super::wire;
use crate::model::Socket;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST`, `NLM_F_DUMP`.
const LIST: u16 = 0x301;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
/// All states of `tcp_states.h` but `TCP_SYN_SENT`, `TCP_SYN_RECV`, `TCP_CLOSE` and `TCP_LISTEN`.
const STATES: u32 = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 9 | 1 << 11;
/// `struct inet_diag_req_v2`, and where its ports are.
const REQUEST: usize = 56;
const SOURCE_PORT: usize = 8;
const DESTINATION_PORT: usize = 10;
/// Where `struct inet_diag_msg` has ports and addresses.
const PORTS: usize = 4;
const ADDRESSES: usize = 8;
const DATAGRAM: usize = 64 << 10;
/// Connections with one port that are read at most. Among more nobody could tell who is passed on.
const MOST: usize = 4_096;

/// IPv6 connections with a port of this host's: who called, and where.
pub fn connections_to(port: u16) -> io::Result<HashSet<(Socket, Socket)>> {
    let mut socket = Netlink::new(NETLINK_SOCK_DIAG)?;
    socket.set_non_blocking(true)?;
    socket.bind_auto()?;
    // Of a client on this host it may be the client's socket that is left.
    let called = ask(&socket, SOURCE_PORT, port, MOST)?.into_iter();
    let called = called.map(|(ours, theirs)| (theirs, ours));
    let calling = ask(&socket, DESTINATION_PORT, port, MOST)?;
    Ok(called.chain(calling).collect())
}

/// Sockets that have this port at one of the two ends: each with its own end and the other one.
fn ask(socket: &Netlink, at: usize, port: u16, most: usize) -> io::Result<Vec<(Socket, Socket)>> {
    let mut request = [0; REQUEST];
    (request[0], request[1]) = (AF_INET6, IPPROTO_TCP);
    request[4..8].copy_from_slice(&STATES.to_ne_bytes());
    request[at..at + 2].copy_from_slice(&port.to_be_bytes());
    let request = wire::request(SOCK_DIAG_BY_FAMILY, LIST, u32::from(port), &request);
    socket.send_to(&request, &SocketAddr::new(0, 0), 0)?;
    let mut found = Vec::new();
    let mut datagram = Vec::with_capacity(DATAGRAM);
    loop {
        datagram.clear();
        let (_, sender) = socket.recv_from(&mut datagram, 0)?;
        // Another process wrote to us: nothing that we have to believe.
        if sender.port_number() != 0 {
            continue;
        }
        for message in wire::messages(&datagram) {
            match message.kind {
                NLMSG_DONE => return Ok(found),
                NLMSG_ERROR => {
                    let code = wire::i32_at(message.payload).unwrap_or_default();
                    return Err(io::Error::from_raw_os_error(-code));
                }
                _ => found.extend(connection(message.payload)),
            }
        }
        // What is left of the answer goes with the socket.
        if found.len() > most {
            return Err(io::Error::other(format!("more than {most} connections")));
        }
    }
}

fn connection(payload: &[u8]) -> Option<(Socket, Socket)> {
    let end = |number: usize| {
        let port = payload.get(PORTS + 2 * number..)?.first_chunk()?;
        let address: [u8; 16] = *payload.get(ADDRESSES + 16 * number..)?.first_chunk()?;
        let address = IpAddr::from(Ipv6Addr::from(address)).to_canonical();
        Some(Socket { address, port: u16::from_be_bytes(*port) })
    };
    Some((end(0)?, end(1)?))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_connection_is_found_by_the_port_of_who_was_called() {
        let listener = TcpListener::bind("[::1]:0").unwrap();
        let called = listener.local_addr().unwrap();
        let client = TcpStream::connect(called).unwrap();
        let _accepted = listener.accept().unwrap();
        let socket =
            |address: std::net::SocketAddr| Socket { address: address.ip(), port: address.port() };
        let wanted = (socket(client.local_addr().unwrap()), socket(called));
        assert_eq!(connections_to(called.port()).unwrap(), HashSet::from([wanted]));
    }

    #[test]
    fn of_too_many_none_is_told() {
        let listener = TcpListener::bind("[::1]:0").unwrap();
        let called = listener.local_addr().unwrap();
        let clients: Vec<_> = (0..3).map(|_| TcpStream::connect(called).unwrap()).collect();
        let ask = |most| {
            let mut socket = Netlink::new(NETLINK_SOCK_DIAG).unwrap();
            socket.bind_auto().unwrap();
            super::ask(&socket, DESTINATION_PORT, called.port(), most)
        };
        assert_eq!(ask(3).unwrap().len(), clients.len());
        assert!(ask(2).unwrap_err().to_string().contains("more than 2"));
    }

    #[test]
    fn truncation_at_every_byte_is_no_panic() {
        assert_eq!((0..72).filter_map(|end| connection(&[0; 72][..end])).count(), 72 - 40);
    }
}
