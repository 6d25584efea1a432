//! The file of a Unix socket: made where nobody listens, open to its owner and group, removed in the end.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, ErrorKind},
    os::{
        fd::AsRawFd as _,
        unix::{
            fs::{
                DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _,
                PermissionsExt as _, chown,
            },
            net::UnixStream,
        },
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
    // Whoever may write into the directory may have put a link there meanwhile, which must not be followed.
    let held = hold(path).map_err(plain)?;
    let own = format!("/proc/self/fd/{}", held.as_raw_fd());
    if place.group.is_some() {
        chown(&own, None, place.group).map_err(|error| {
            fail((
                format!("it cannot be given to the group: {error}"),
                "give a group that the agent is in to --socket-group, or run it as root".to_owned(),
            ))
        })?;
    }
    fs::set_permissions(&own, Permissions::from_mode(MODE)).map_err(plain)?;
    Ok((listener, file))
}

/// The socket itself, whatever its path leads to from now on.
fn hold(path: &Path) -> io::Result<File> {
    let flags = libc::O_PATH | libc::O_NOFOLLOW;
    let held = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if held.metadata()?.file_type().is_socket() {
        Ok(held)
    } else {
        Err(io::Error::other("somebody has put another file there"))
    }
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

impl SocketFile {
    /// Whether it is where it was made.
    pub(super) fn is_there(&self) -> bool {
        identity(&self.path).is_ok_and(|identity| identity == self.identity)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_there()
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

#[cfg(test)]
mod tests {
    use std::os::unix::{fs::symlink, net::UnixListener};

    use super::*;

    #[test]
    fn only_a_socket_is_held_and_no_link_is_followed() {
        let folder = tempfile::TempDir::new().unwrap();
        let [socket, link, file] = ["socket", "link", "file"].map(|name| folder.path().join(name));
        let _listener = UnixListener::bind(&socket).unwrap();
        symlink(&socket, &link).unwrap();
        fs::write(&file, "").unwrap();
        let held = hold(&socket).unwrap();
        assert!(hold(&link).is_err() && hold(&file).is_err());
        fs::rename(&file, &socket).unwrap();
        let mode = |metadata: fs::Metadata| metadata.permissions().mode() & 0o777;
        let before = mode(fs::metadata(&socket).unwrap());
        let own = format!("/proc/self/fd/{}", held.as_raw_fd());
        fs::set_permissions(own, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(mode(held.metadata().unwrap()), 0o600);
        assert_eq!(mode(fs::metadata(&socket).unwrap()), before);
    }
}
