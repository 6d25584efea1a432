//! Asking the HTTP side of an agent for a page.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use axum::body::{Body, to_bytes};
use hyper::{Request, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpStream, UnixStream},
    time::timeout,
};

use super::{Place, bind::Stream};

/// For everything: connecting, asking, reading.
const PATIENCE: Duration = Duration::from_secs(6);
/// Whoever answers more is no agent.
const MOST_BYTES: usize = 64 << 20;

/// Status and body of a page.
pub async fn ask(place: &Place, path: &str) -> io::Result<(u16, String)> {
    timeout(PATIENCE, exchange(place, path)).await.map_err(|_| io::ErrorKind::TimedOut)?
}

async fn exchange(place: &Place, path: &str) -> io::Result<(u16, String)> {
    let stream: Box<dyn Stream> = match place {
        Place::Address(address) => Box::new(TcpStream::connect(reachable(*address)).await?),
        Place::Unix(place) => Box::new(UnixStream::connect(&place.path).await?),
        // Where that is, systemd knows.
        Place::Systemd => return Err(io::ErrorKind::AddrNotAvailable.into()),
    };
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // It ends with the answer, or with us.
    let connection = tokio::spawn(connection);
    let host = match place {
        Place::Address(address) => address.to_string(),
        _ => "localhost".to_owned(),
    };
    let request =
        Request::get(path).header(HOST, host).body(Body::empty()).map_err(io::Error::other)?;
    let answer = sender.send_request(request).await.map_err(io::Error::other)?;
    let status = answer.status().as_u16();
    let body = to_bytes(Body::new(answer.into_body()), MOST_BYTES).await;
    connection.abort();
    let body = body.map_err(io::Error::other)?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// Who listens at all addresses answers at loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_are_asked_at_loopback() {
        for (given, asked) in
            [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("192.0.2.1:1", "192.0.2.1:1")]
        {
            assert_eq!(reachable(given.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
