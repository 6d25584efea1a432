//! Whether other agents run in this network namespace.

use std::{
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixListener},
    },
};

/// An abstract socket address belongs to a network namespace, as attached programs do, and is free again when its
/// holder ends, however that comes (unix(7)).
const NAME: &[u8] = b"netwatch-agent";

/// Held for as long as the agent runs. The first agent to claim it may remove what earlier ones left.
pub(super) struct Sole(Option<UnixListener>);

impl Sole {
    pub(super) fn claim() -> Self {
        let bound =
            SocketAddr::from_abstract_name(NAME).and_then(|name| UnixListener::bind_addr(&name));
        if let Err(error) = &bound {
            let other = error.kind() == io::ErrorKind::AddrInUse;
            let cause = if other { "another agent runs here".into() } else { error.to_string() };
            tracing::info!("programs that a killed agent left are not looked for: {cause}");
        }
        Self(bound.ok())
    }

    /// Whether attached programs of netwatch's are nobody's.
    pub(super) fn is_sole(&self) -> bool {
        self.0.is_some()
    }
}
