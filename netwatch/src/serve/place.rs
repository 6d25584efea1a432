//! Where to listen.

use std::{fmt, net::SocketAddr};

use super::flows::SocketPlace;

/// How a Unix socket is written among addresses.
pub const UNIX: &str = "unix:";

/// `--web.listen-address`, `--web.systemd-socket`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An address of TCP.
    Address(SocketAddr),
    /// A Unix socket.
    Unix(SocketPlace),
    /// What systemd has made and hands over.
    Systemd,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Unix(place) => write!(f, "{UNIX}{}", place.path.display()),
            Self::Systemd => f.write_str("systemd"),
        }
    }
}

impl From<SocketAddr> for Place {
    fn from(address: SocketAddr) -> Self {
        Self::Address(address)
    }
}
