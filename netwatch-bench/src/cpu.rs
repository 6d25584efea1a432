//! Where a thread runs, and for how long it did.

#![expect(
    unsafe_code,
    reason = "the standard library knows neither CPUs nor the CPU time of a thread"
)]

use std::{io, mem, time::Duration};

/// CPUs divided into the one that is measured on and the rest.
#[derive(Clone, Copy)]
pub struct Cpus {
    /// The last one that we may use: the first has most of the interrupts.
    pub measured: usize,
    allowed: libc::cpu_set_t,
}

impl Cpus {
    /// The CPUs that this thread may use.
    pub fn find() -> io::Result<Self> {
        // SAFETY: a set of no CPUs, which the kernel fills.
        let mut allowed: libc::cpu_set_t = unsafe { mem::zeroed() };
        // SAFETY: a valid set of the size that is given.
        let result =
            unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut allowed) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the numbers are within the set.
        let has = |cpu: &usize| unsafe { libc::CPU_ISSET(*cpu, &allowed) };
        let last = (0..libc::CPU_SETSIZE as usize).rev().find(has);
        Ok(Self { measured: last.unwrap_or(0), allowed })
    }

    /// Keeps the calling thread on the measured CPU.
    pub fn stay(&self) -> io::Result<()> {
        // SAFETY: as above.
        let mut one: libc::cpu_set_t = unsafe { mem::zeroed() };
        // SAFETY: the number is that of a CPU in a set.
        unsafe { libc::CPU_SET(self.measured, &mut one) };
        set(&one)
    }

    /// Lets the calling thread go where it wants.
    pub fn all(&self) -> io::Result<()> {
        set(&self.allowed)
    }

    /// Keeps the calling thread off it, where there is another.
    pub fn leave(&self) -> io::Result<()> {
        let mut others = self.allowed;
        // SAFETY: the number is that of a CPU in the set.
        let left = unsafe {
            libc::CPU_CLR(self.measured, &mut others);
            libc::CPU_COUNT(&others)
        };
        if left == 0 { Ok(()) } else { set(&others) }
    }
}

fn set(cpus: &libc::cpu_set_t) -> io::Result<()> {
    // SAFETY: a valid set of the size that is given.
    let result =
        unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const *cpus) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// CPU time of the calling thread: what others take from it in between does not count.
pub fn time() -> io::Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid pointer to a timespec.
    if unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Ok(Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0)))
}

/// Moves the calling thread into a network namespace of its own, whose only device is loopback, with index 1 and down.
pub fn new_network() -> io::Result<()> {
    // SAFETY: changes only the namespace of this thread and of those that it starts later.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The kernel's number of the calling thread.
pub fn thread_id() -> i32 {
    // SAFETY: always succeeds and touches no memory.
    unsafe { libc::gettid() }
}
