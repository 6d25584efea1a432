//! The lab's servers: a small HTTP answer on port 80, one answer for each query on any other TCP port, UDP echoed.
//! Runs inside a namespace until it is stopped.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};

use super::{HTTP_PORT, topology::has_ipv6};
use crate::cleanup;

const IDLE: Duration = Duration::from_secs(30);
const PAGE: usize = 2000;
const ROWS: usize = 600;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    tcp: u16,
    #[arg(long)]
    udp: Option<u16>,
}

/// Serves until it is told to stop.
pub(crate) fn serve(args: &Args) -> Result<()> {
    let listener = TcpListener::bind(any(args.tcp))
        .with_context(|| format!("listening on tcp port {}", args.tcp))?;
    let http = args.tcp == HTTP_PORT;
    thread::spawn(move || {
        // A connection that fails is the client's to count.
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream, http));
        }
    });
    if let Some(port) = args.udp {
        let socket =
            UdpSocket::bind(any(port)).with_context(|| format!("listening on udp port {port}"))?;
        thread::spawn(move || echo(&socket));
    }
    while !cleanup::requested() {
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// All addresses; where there is IPv6, its wildcard takes IPv4 too.
fn any(port: u16) -> SocketAddr {
    if has_ipv6() {
        (Ipv6Addr::UNSPECIFIED, port).into()
    } else {
        (Ipv4Addr::UNSPECIFIED, port).into()
    }
}

fn answer(mut stream: TcpStream, http: bool) -> Option<()> {
    stream.set_read_timeout(Some(IDLE)).ok()?;
    let mut query = [0; 1024];
    while stream.read(&mut query).ok()? > 0 {
        if http {
            let head = format!(
                "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {PAGE}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).ok()?;
            return stream.write_all(&[b'.'; PAGE]).ok();
        }
        stream.write_all(&[b'.'; ROWS]).ok()?;
    }
    Some(())
}

fn echo(socket: &UdpSocket) {
    let mut buffer = [0; 1500];
    loop {
        // An unreachable client of an earlier datagram shows up here as an error; the next one may be fine.
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..length], from);
        }
    }
}
