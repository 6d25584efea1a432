//! The file of a Unix socket: made where nobody listens, open to its owner and group, removed in the end.

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

use super::{ServeError, flows::SocketPlace};

/// Owner and group may connect, which takes the right to write.
const MODE: u32 = 0o660;
/// Everybody may look for the socket in a directory that is made for it.
const DIRECTORY_MODE: u32 = 0o755;

/// What is wrong, and what to do.
type Cause = (String, String);

/// Listens. Makes the directory if there is none, and replaces the socket of an agent that has died. `option` is what
/// asked for it.
pub(super) fn listen(
    place: &SocketPlace,
    option: &str,
) -> Result<(UnixListener, SocketFile), ServeError> {
    let path = &place.path;
    let fail = |(cause, remedy): Cause| ServeError::Socket { path: path.clone(), cause, remedy };
    make_directory(path, option).map_err(fail)?;
    make_room(path, option).map_err(fail)?;
    let plain = |error: io::Error| fail((error.to_string(), another(option)));
    let listener = UnixListener::bind(path).map_err(plain)?;
    let file = SocketFile::new(path).map_err(plain)?;
    if place.group.is_some() {
        chown(path, None, place.group).map_err(|error| {
            fail((
                format!("it cannot be given to the group: {error}"),
                "give a group that the agent is in to --socket-group, or run it as root".to_owned(),
            ))
        })?;
    }
    fs::set_permissions(path, Permissions::from_mode(MODE)).map_err(plain)?;
    Ok((listener, file))
}

fn another(option: &str) -> String {
    format!("give another path to --{option}")
}

fn make_directory(path: &Path, option: &str) -> Result<(), Cause> {
    let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else {
        return Ok(());
    };
    make_folder(parent).map_err(|error| {
        (
            format!("the directory {} cannot be made: {error}", parent.display()),
            format!("give a path in another directory to --{option}, or leave it out"),
        )
    })
}

/// Makes the folder of a socket, unless it is there.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(folder)
}

fn make_room(path: &Path, option: &str) -> Result<(), Cause> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err((
                "there is a file that is no socket".to_owned(),
                format!("{}, or remove it", another(option)),
            ));
        }
        _ => {}
    }
    let error = match UnixStream::connect(path) {
        Ok(_) => {
            return Err((
                "another agent listens there".to_owned(),
                format!("stop it, or {}", another(option)),
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
        Some(error) => Err((error.to_string(), another(option))),
    }
}

/// The file. Dropping it removes the file, unless somebody else has put theirs there.
pub(super) struct SocketFile {
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
