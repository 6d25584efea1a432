//! Asking the HTTP side of an agent for a page.

use std::{io, net::SocketAddr, time::Duration};

use axum::body::{Body, to_bytes};
use hyper::{Request, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

/// For everything: connecting, asking, reading.
const PATIENCE: Duration = Duration::from_secs(6);
/// Whoever answers more is no agent.
const MOST_BYTES: usize = 64 << 20;

/// Status and body of a page.
pub async fn ask(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    timeout(PATIENCE, exchange(address, path)).await.map_err(|_| io::ErrorKind::TimedOut)?
}

async fn exchange(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let stream = TokioIo::new(TcpStream::connect(address).await?);
    let (mut sender, connection) = http1::handshake(stream).await.map_err(io::Error::other)?;
    // It ends with the answer, or with us.
    let connection = tokio::spawn(connection);
    let request = Request::get(path)
        .header(HOST, address.to_string())
        .body(Body::empty())
        .map_err(io::Error::other)?;
    let answer = sender.send_request(request).await.map_err(io::Error::other)?;
    let status = answer.status().as_u16();
    let body = to_bytes(Body::new(answer.into_body()), MOST_BYTES).await;
    connection.abort();
    let body = body.map_err(io::Error::other)?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}
