//! A network namespace of a test's own.

#![expect(unsafe_code, reason = "the standard library does not change namespaces")]

use std::{
    fs::{self, File},
    os::fd::AsRawFd as _,
};

/// Runs `body` on a thread in the network namespace of a process.
pub fn in_namespace_of<T: Send + 'static>(
    pid: u32,
    body: impl FnOnce() -> T + Send + 'static,
) -> T {
    let namespace = File::open(format!("/proc/{pid}/ns/net")).expect("the process");
    in_namespace(&namespace, body)
}

/// The network namespace of this thread. As long as the file is open the namespace is there.
pub fn own() -> File {
    File::open("/proc/thread-self/ns/net").expect("our own namespace")
}

/// Whether this thread is in another network namespace than the program that it belongs to.
pub fn is_own() -> bool {
    let [ours, programs] = ["thread-self", "self"]
        .map(|whose| fs::read_link(format!("/proc/{whose}/ns/net")).expect("a network namespace"));
    ours != programs
}

/// Runs `body` on a thread in a network namespace.
pub fn in_namespace<T: Send + 'static>(
    namespace: &File,
    body: impl FnOnce() -> T + Send + 'static,
) -> T {
    let namespace = namespace.try_clone().expect("a second descriptor");
    on_thread(move || {
        // SAFETY: changes only the namespace of this thread, which nobody else uses.
        let result = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
        assert_eq!(result, 0, "a network namespace: {}", std::io::Error::last_os_error());
        body()
    })
}

/// Runs `body` on a thread in a new network namespace. It has a loopback device with index 1, which is down, and is gone
/// with everything in it when `body` is done, also after a panic.
pub fn in_new_namespace<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    on_thread(move || {
        // SAFETY: changes only the namespace of this thread, which nobody else uses.
        let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        assert_eq!(result, 0, "a new network namespace: {}", std::io::Error::last_os_error());
        body()
    })
}

fn on_thread<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    match std::thread::spawn(body).join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
