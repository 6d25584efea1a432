//! A client that asks for metrics, as Prometheus does: it keeps its connection if it may, and takes a new one where that has ended.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream},
};

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

use super::support::wait::PATIENCE;

pub struct Scraper {
    source: Ipv4Addr,
    address: SocketAddr,
    keeps: bool,
    kept: Option<BufReader<TcpStream>>,
}

impl Scraper {
    pub fn new(source: Ipv4Addr, address: SocketAddr, keeps: bool) -> Self {
        Self { source, address, keeps, kept: None }
    }

    /// The metrics. Whatever else is answered is a failure.
    pub fn ask(&mut self) -> String {
        if let Some(mut stream) = self.kept.take()
            && let Ok(text) = exchange(&mut stream)
        {
            self.kept = Some(stream);
            return text;
        }
        let mut stream =
            BufReader::new(connect_from(self.source, self.address).expect("a connection"));
        let text = exchange(&mut stream).expect("an answer");
        self.kept = self.keeps.then_some(stream);
        text
    }
}

/// A connection from one of the addresses of this host.
pub fn connect_from(source: Ipv4Addr, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddrV4::new(source, 0))?;
    connect(&socket, &address)?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

pub const REQUEST: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n";

fn exchange(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    stream.get_mut().write_all(REQUEST)?;
    let (mut head, mut length) = (String::new(), None);
    while !head.ends_with("\r\n\r\n") {
        let begin = head.len();
        if stream.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = head[begin..].trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().ok();
        }
    }
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let mut body = vec![0; length.expect("a length")];
    stream.read_exact(&mut body)?;
    String::from_utf8(body).map_err(io::Error::other)
}
