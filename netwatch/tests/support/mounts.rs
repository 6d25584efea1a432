//! Mounts of a test's own.

#![expect(unsafe_code, reason = "the standard library does not change namespaces")]

use std::{fs, path::Path};

use super::shell::run;

/// From now on this folder is empty for this thread and what it starts, and what is mounted there is gone with them.
pub fn own(folder: &Path) {
    fs::create_dir_all(folder).expect("a folder to mount on");
    // SAFETY: changes only the namespace of this thread, which nobody else uses.
    let result = unsafe { libc::unshare(libc::CLONE_NEWNS) };
    assert_eq!(result, 0, "a mount namespace: {}", std::io::Error::last_os_error());
    run("mount", &["--make-rprivate", "/"]);
    run("mount", &["-t", "tmpfs", "tmpfs", &folder.to_string_lossy()]);
}
