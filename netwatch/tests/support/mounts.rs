//! Mounts of a test's own.

#![expect(unsafe_code, reason = "the standard library does not change namespaces")]

use super::shell::run;

/// From now on what this thread and what it starts mount is for nobody else, and gone with them.
pub fn own() {
    // SAFETY: changes only the namespace of this thread, which nobody else uses.
    let result = unsafe { libc::unshare(libc::CLONE_NEWNS) };
    assert_eq!(result, 0, "a mount namespace: {}", std::io::Error::last_os_error());
    run("mount", &["--make-rprivate", "/"]);
}

/// Mounts an empty file system on a folder, or one of the kernel's: `tmpfs`, `sysfs`.
pub fn mount(kind: &str, on: &str) {
    run("mount", &["-t", kind, kind, on]);
}
