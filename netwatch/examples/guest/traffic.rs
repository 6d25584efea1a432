//! Real traffic by real sockets, one message at a time and nothing without end: each send is read before the next.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use netwatch::model::{Protocol, Socket};
use socket2::{Domain, Socket as AnySocket, Type};

use crate::{
    network::{Family, Node},
    witness::Way,
};

const PATIENCE: Duration = Duration::from_secs(20);
/// Messages each way.
pub const ROUNDS: u64 = 5;
/// Bytes of a small message: one packet.
pub const SMALL: usize = 300;
/// Bytes of a message that TCP segments: several packets in one skb.
pub const LARGE: usize = 16_000;
/// Bytes of a datagram of three fragments at an MTU of 1,500.
pub const FRAGMENTED: usize = 4_000;

/// A TCP connection, from its SYN to both FINs.
pub fn tcp(client: &Node, server: &Node, family: Family, size: usize) -> Result<Way> {
    let at = SocketAddr::new(server.address(family), 0);
    let listener = server.namespace.enter(|| Ok(TcpListener::bind(at)?))?;
    let to = listener.local_addr()?;
    let mut near =
        client.namespace.enter(|| Ok(TcpStream::connect_timeout(&to, PATIENCE)?)).context("tcp")?;
    let (mut far, from) = listener.accept()?;
    for stream in [&near, &far] {
        stream.set_read_timeout(Some(PATIENCE))?;
    }
    for _ in 0..ROUNDS {
        pass(&mut near, &mut far, size)?;
        pass(&mut far, &mut near, size)?;
    }
    // The client ends first. Each end reads the other's end, so that both FINs are on their way when this returns.
    near.shutdown(std::net::Shutdown::Write)?;
    ensure!(far.read(&mut [0])? == 0, "more than was sent");
    drop(far);
    ensure!(near.read(&mut [0])? == 0, "more than was sent");
    Ok(way(from, to, Protocol::TCP))
}

fn pass(from: &mut impl Write, to: &mut impl Read, size: usize) -> Result<()> {
    let message = vec![b'n'; size];
    from.write_all(&message)?;
    let mut got = vec![0; size];
    to.read_exact(&mut got)?;
    ensure!(got == message, "what came is not what was sent");
    Ok(())
}

/// Datagrams there and back.
pub fn udp(client: &Node, server: &Node, family: Family, size: usize) -> Result<Way> {
    datagrams(client, server, family, 0, &vec![b'n'; size])
}

/// The same message there and back, to and from a port of the server's; 0 for any.
pub fn datagrams(
    client: &Node,
    server: &Node,
    family: Family,
    port: u16,
    message: &[u8],
) -> Result<Way> {
    let (near, far) = (bind(client, family, 0)?, bind(server, family, port)?);
    let (from, to) = (near.local_addr()?, far.local_addr()?);
    let mut got = vec![0; message.len() + 1];
    for _ in 0..ROUNDS {
        for (sender, receiver, address) in [(&near, &far, to), (&far, &near, from)] {
            sender.send_to(message, address)?;
            let length = receiver.recv(&mut got).context("udp")?;
            ensure!(length == message.len(), "a datagram was cut");
        }
    }
    Ok(way(from, to, Protocol::UDP))
}

/// Datagrams to a port where nobody listens, which is the answer.
pub fn to_nobody(client: &Node, server: &Node, family: Family) -> Result<Socket> {
    let to = bind(server, family, 0)?.local_addr()?;
    for _ in 0..ROUNDS {
        // A socket each: one that has been told that nobody listens fails at the next.
        bind(client, family, 0)?.send_to(&[b'n'; SMALL], to)?;
    }
    Ok(Socket { address: to.ip(), port: to.port() })
}

fn bind(node: &Node, family: Family, port: u16) -> Result<UdpSocket> {
    let at = SocketAddr::new(node.address(family), port);
    let socket = node.namespace.enter(|| Ok(UdpSocket::bind(at)?))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// Echo requests and the replies of the other's kernel.
pub fn echo(client: &Node, server: &Node, family: Family, size: usize) -> Result<Way> {
    let (domain, protocol, kind) = if family.is_v4() {
        (Domain::IPV4, Protocol::ICMP, 8)
    } else {
        (Domain::IPV6, Protocol::ICMPV6, 128)
    };
    let at = SocketAddr::new(client.address(family), 0);
    let to = SocketAddr::new(server.address(family), 0);
    let socket = client.namespace.enter(|| {
        let socket = AnySocket::new(domain, Type::DGRAM, Some(i32::from(protocol.0).into()))?;
        socket.bind(&at.into())?;
        Ok(socket)
    })?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect(&to.into())?;
    // Type, code, checksum and identifier (the kernel's part), sequence number, data.
    let mut message = vec![b'n'; 8 + size];
    message[..8].copy_from_slice(&[kind, 0, 0, 0, 0, 0, 0, 0]);
    let mut got = vec![0; message.len() + 1];
    for round in 0..ROUNDS {
        message[7] = u8::try_from(round)?;
        socket.send(&message)?;
        let length = (&socket).read(&mut got).context("echo")?;
        ensure!(length == message.len() && got[7] == message[7], "not the reply to this request");
    }
    let identifier = socket.local_addr()?.as_socket().context("a socket without address")?.port();
    let end = |address: SocketAddr| SocketAddr::new(address.ip(), identifier);
    Ok(way(end(at), end(to), protocol))
}

fn way(from: SocketAddr, to: SocketAddr, protocol: Protocol) -> Way {
    let end = |address: SocketAddr| Socket { address: address.ip(), port: address.port() };
    Way { source: end(from), destination: end(to), protocol }
}
