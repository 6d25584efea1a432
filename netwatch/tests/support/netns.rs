//! A network namespace of a test's own.

#![expect(unsafe_code, reason = "the standard library does not change namespaces")]

/// Runs `body` on a thread in a new network namespace. It has a loopback device with index 1, which is down, and is gone
/// with everything in it when `body` is done, also after a panic.
pub fn in_new_namespace<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(move || {
        // SAFETY: changes only the namespace of this thread, which nobody else uses.
        let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        assert_eq!(result, 0, "a new network namespace: {}", std::io::Error::last_os_error());
        body()
    });
    match thread.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
