//! Which CPU a test runs on.

#![expect(unsafe_code, reason = "the standard library does not choose CPUs")]

/// Keeps this thread on one CPU: what the programs keep per CPU is then one thing.
pub fn stay_on_one() {
    // SAFETY: a set of our own, which is zeroed, filled and read within its size; thread 0 is this one.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(libc::sched_getcpu().try_into().expect("a number"), &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    assert_eq!(result, 0, "one CPU: {}", std::io::Error::last_os_error());
}
