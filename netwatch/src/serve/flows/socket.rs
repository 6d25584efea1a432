//! The socket's file: made where nobody listens, open to its owner and group, removed in the end.

use std::{
    fs::{self, DirBuilder, Permissions},
    io::{self, ErrorKind},
    os::unix::{
        fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use tokio::net::UnixListener;

use super::{SocketPlace, peer::Allowed};
use crate::serve::ServeError;

/// Owner and group may connect, which takes the right to write.
const MODE: u32 = 0o660;
/// Everybody may look for the socket in a directory that is made for it.
const DIRECTORY_MODE: u32 = 0o755;

/// A listening socket.
pub struct Socket {
    pub(super) listener: UnixListener,
    pub(super) allowed: Allowed,
    _file: SocketFile,
}

/// Listens. Makes the directory if there is none, and replaces the socket of an agent that has died.
pub fn bind(place: &SocketPlace) -> Result<Socket, ServeError> {
    let path = &place.path;
    let fail = |(cause, remedy): (String, &'static str)| ServeError::Socket {
        path: path.clone(),
        cause,
        remedy,
    };
    make_directory(path).map_err(fail)?;
    make_room(path).map_err(fail)?;
    let plain = |error: io::Error| fail((error.to_string(), "give another path to --socket"));
    let listener = UnixListener::bind(path).map_err(plain)?;
    let file = SocketFile::new(path).map_err(plain)?;
    if place.group.is_some() {
        chown(path, None, place.group).map_err(|error| {
            fail((
                format!("it cannot be given to the group: {error}"),
                "give a group that the agent is in to --socket-group, or run it as root",
            ))
        })?;
    }
    fs::set_permissions(path, Permissions::from_mode(MODE)).map_err(plain)?;
    let metadata = fs::symlink_metadata(path).map_err(plain)?;
    let allowed = Allowed { owner: metadata.uid(), group: metadata.gid() };
    Ok(Socket { listener, allowed, _file: file })
}

fn make_directory(path: &Path) -> Result<(), (String, &'static str)> {
    let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else {
        return Ok(());
    };
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(parent).map_err(|error| {
        (
            format!("the directory {} cannot be made: {error}", parent.display()),
            "give a path in another directory to --socket, or 'none' to do without",
        )
    })
}

fn make_room(path: &Path) -> Result<(), (String, &'static str)> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err((
                "there is a file that is no socket".to_owned(),
                "give another path to --socket, or remove it",
            ));
        }
        _ => {}
    }
    let error = match UnixStream::connect(path) {
        Ok(_) => {
            return Err((
                "another agent listens there".to_owned(),
                "stop it, or give another path to --socket",
            ));
        }
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            tracing::info!(path = %path.display(), "replacing the socket that an earlier netwatch left");
            fs::remove_file(path).err()
        }
        Err(error) => Some(error),
    };
    match error.filter(|error| error.kind() != ErrorKind::NotFound) {
        None => Ok(()),
        Some(error) => Err((error.to_string(), "give another path to --socket")),
    }
}

/// Removes the file, unless somebody else has put theirs there.
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the socket");
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}
