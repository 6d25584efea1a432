//! The socket, and who may use it.

use std::{fs, os::unix::fs::MetadataExt as _};

use tokio::net::UnixListener;

use super::{SocketPlace, peer::Allowed};
use crate::serve::{
    ServeError,
    socket_file::{SocketFile, listen},
};

/// A listening socket.
pub struct Socket {
    pub(super) listener: UnixListener,
    pub(super) allowed: Allowed,
    file: SocketFile,
    place: SocketPlace,
}

impl Socket {
    /// Whether it can be found.
    pub(super) fn is_there(&self) -> bool {
        self.file.is_there()
    }

    /// Listens anew where it was, after somebody has removed its file.
    pub(super) fn again(&self) -> Result<Self, ServeError> {
        bind(&self.place)
    }
}

/// Listens.
pub fn bind(place: &SocketPlace) -> Result<Socket, ServeError> {
    const OPTION: &str = "socket";
    let (listener, file) = listen(place, OPTION)?;
    let metadata = fs::symlink_metadata(&place.path).map_err(|error| ServeError::Socket {
        path: place.path.clone(),
        cause: error.to_string(),
        remedy: format!("give another path to --{OPTION}"),
    })?;
    let allowed = Allowed { owner: metadata.uid(), group: metadata.gid() };
    Ok(Socket { listener, allowed, file, place: place.clone() })
}
