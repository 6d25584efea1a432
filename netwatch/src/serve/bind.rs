//! Listening sockets, and messages for those that cannot be had.

use std::{
    io::{self, ErrorKind},
    net::{self, SocketAddr},
    os::unix,
};

use listenfd::ListenFd;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, UnixListener},
};

use super::{
    Place, ServeError,
    socket_file::{SocketFile, listen},
    source::Source,
};

const OPTION: &str = "web.listen-address";

/// Connections that may wait to be accepted. One more than that tries again after a second, whoever it is of.
const BACKLOG: u32 = 4_096;

/// A socket that is listened at.
pub struct Listener(Kind);

enum Kind {
    Tcp(TcpListener),
    Unix { listener: UnixListener, _file: Option<SocketFile> },
}

/// A connection.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Listener {
    /// The next connection, and whose.
    pub(super) async fn accept(&self) -> io::Result<(Box<dyn Stream>, Source)> {
        match &self.0 {
            Kind::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Box::new(stream), peer.ip().into()))
            }
            Kind::Unix { listener, .. } => {
                Ok((Box::new(listener.accept().await?.0), Source::Local))
            }
        }
    }

    /// Where it is, for the log. Port 0 has become one.
    pub fn name(&self) -> String {
        match &self.0 {
            Kind::Tcp(listener) => {
                listener.local_addr().map_or_else(|error| error.to_string(), |at| at.to_string())
            }
            Kind::Unix { listener, .. } => {
                let address = listener.local_addr().ok();
                let path = address.as_ref().and_then(|address| address.as_pathname());
                path.map_or_else(|| "unix:".to_owned(), |path| format!("unix:{}", path.display()))
            }
        }
    }
}

/// Listens at all places, or at none.
pub async fn bind(places: &[Place]) -> Result<Vec<Listener>, ServeError> {
    let mut listeners = Vec::with_capacity(places.len());
    for place in places {
        match place {
            Place::Address(address) => {
                let listener = listen_at(*address).map_err(|error| explain(*address, &error))?;
                listeners.push(Listener(Kind::Tcp(listener)));
            }
            Place::Unix(place) => {
                let (listener, file) = listen(place, OPTION)?;
                listeners.push(Listener(Kind::Unix { listener, _file: Some(file) }));
            }
            Place::Systemd => listeners.extend(handed_over(ListenFd::from_env())?),
        }
    }
    Ok(listeners)
}

fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // The port of an agent that has just ended is free.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// What systemd has passed (`sd_listen_fds(3)`): stream sockets of TCP and Unix.
fn handed_over(mut passed: ListenFd) -> Result<Vec<Listener>, ServeError> {
    let fail = |cause: String| ServeError::Systemd { cause };
    if passed.len() == 0 {
        return Err(fail("it has handed over none".to_owned()));
    }
    let mut listeners = Vec::with_capacity(passed.len());
    for at in 0..passed.len() {
        // Asking for the wrong kind is an error that leaves the socket where it is.
        let kind = match (passed.take_tcp_listener(at), passed.take_unix_listener(at)) {
            (Ok(Some(listener)), _) => tcp(listener),
            (_, Ok(Some(listener))) => unix(listener),
            _ => return Err(fail(format!("number {} is no stream socket of TCP or Unix", at + 1))),
        };
        listeners.push(Listener(kind.map_err(|error| fail(error.to_string()))?));
    }
    Ok(listeners)
}

fn tcp(listener: net::TcpListener) -> io::Result<Kind> {
    listener.set_nonblocking(true)?;
    Ok(Kind::Tcp(TcpListener::from_std(listener)?))
}

fn unix(listener: unix::net::UnixListener) -> io::Result<Kind> {
    listener.set_nonblocking(true)?;
    Ok(Kind::Unix { listener: UnixListener::from_std(listener)?, _file: None })
}

fn explain(address: SocketAddr, error: &io::Error) -> ServeError {
    let port = address.port();
    let (cause, remedy) = match error.kind() {
        ErrorKind::AddrInUse => (
            "the port is in use".to_owned(),
            format!(
                "choose another port with --web.listen-address, or stop who has it (`ss -ltnp sport = :{port}` \
                 names it)"
            ),
        ),
        ErrorKind::AddrNotAvailable => (
            format!("this host has no address {}", address.ip()),
            "give one that `ip address` shows to --web.listen-address, or 0.0.0.0 for all"
                .to_owned(),
        ),
        ErrorKind::PermissionDenied => (
            "not permitted".to_owned(),
            "give a port from 1024 on to --web.listen-address, or run with CAP_NET_BIND_SERVICE"
                .to_owned(),
        ),
        _ => (error.to_string(), "give another address to --web.listen-address".to_owned()),
    };
    ServeError::Bind { address, cause, remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(address: &str) -> Place {
        Place::Address(address.parse().unwrap())
    }

    async fn refusal(places: &[Place]) -> String {
        bind(places).await.err().expect("a refusal").to_string()
    }

    #[test]
    fn every_message_has_address_cause_and_remedy() {
        let address = "[::1]:80".parse().unwrap();
        for (kind, cause) in [
            (ErrorKind::AddrInUse, "the port is in use"),
            (ErrorKind::AddrNotAvailable, "this host has no address ::1"),
            (ErrorKind::PermissionDenied, "not permitted"),
            (ErrorKind::Other, "other error"),
        ] {
            let message = explain(address, &kind.into()).to_string();
            assert!(
                message.starts_with(&format!("cannot listen on [::1]:80: {cause}; ")),
                "{message}"
            );
            assert!(
                message.contains("--web.listen-address") && !message.contains('\n'),
                "{message}"
            );
        }
    }

    #[tokio::test]
    async fn a_port_in_use_is_named() {
        let first = bind(&[place("127.0.0.1:0")]).await.unwrap();
        let taken = first[0].name();
        let message = refusal(&[place("127.0.0.1:0"), place(&taken)]).await;
        assert!(message.contains(&taken) && message.contains("in use"), "{message}");
    }

    #[tokio::test]
    async fn an_address_of_another_host_is_named() {
        let message = refusal(&[place("192.0.2.1:9100")]).await;
        assert!(message.contains("this host has no address 192.0.2.1"), "{message}");
    }

    #[tokio::test]
    async fn nothing_from_systemd_is_an_error() {
        let message = handed_over(ListenFd::empty()).err().expect("a refusal").to_string();
        assert!(message.contains("--web.systemd-socket") && message.contains("none"), "{message}");
    }
}
