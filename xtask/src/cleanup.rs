//! Signals and guards: what makes each command clean up on failure, on Ctrl-C and on `kill`.
//!
//! A signal only sets a flag. Long work looks at the flag ([`check`], [`requested`]) and returns, and the guards
//! ([`OnDrop`]) on the way out undo what was done.

use std::{
    io,
    sync::atomic::{AtomicBool, AtomicI32, Ordering},
};

use anyhow::{Context as _, Result, bail};

static SIGNAL: AtomicI32 = AtomicI32::new(0);
static SENT_TO_US_ALONE: AtomicBool = AtomicBool::new(false);

/// Starts to note SIGINT, SIGTERM and SIGHUP instead of dying of them.
pub(crate) fn listen() -> Result<()> {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        catch(signal).with_context(|| format!("installing the handler of signal {signal}"))?;
    }
    Ok(())
}

#[expect(unsafe_code, reason = "std has no way to handle a signal")]
fn catch(signal: i32) -> io::Result<()> {
    // SAFETY: all zeroes is a valid sigaction (no flags, empty mask, default handler).
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = note as *const () as libc::sighandler_t;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
    // SAFETY: `action` is initialised and `note` does nothing but atomic stores, which a handler may do.
    if unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[expect(unsafe_code, reason = "the kernel hands the handler a raw pointer")]
extern "C" fn note(signal: i32, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: with SA_SIGINFO the kernel passes a valid siginfo_t.
    let code = unsafe { (*info).si_code };
    // Positive: sent by the kernel, that is by the terminal, to the whole process group. Otherwise by some kill(2).
    if code <= 0 {
        SENT_TO_US_ALONE.store(true, Ordering::SeqCst);
    }
    SIGNAL.store(signal, Ordering::SeqCst);
}

/// Whether we have been asked to stop.
pub(crate) fn requested() -> bool {
    SIGNAL.load(Ordering::SeqCst) != 0
}

/// The signal that a child cannot have seen, because it went to this process and not to the terminal's group.
pub(crate) fn to_forward() -> Option<i32> {
    (requested() && SENT_TO_US_ALONE.load(Ordering::SeqCst)).then(|| SIGNAL.load(Ordering::SeqCst))
}

/// Ends a sequence of steps early when we have been asked to stop.
pub(crate) fn check() -> Result<()> {
    if requested() {
        bail!("interrupted");
    }
    Ok(())
}

/// Sends a signal to a process.
#[expect(unsafe_code, reason = "std can only send SIGKILL")]
pub(crate) fn signal(pid: u32, signal: i32) -> io::Result<()> {
    let pid = i32::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: kill takes two integers and touches no memory of ours.
    if unsafe { libc::kill(pid, signal) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Runs a closure when it goes out of scope, unless disarmed.
pub(crate) struct OnDrop<F: FnMut()> {
    undo: F,
    armed: bool,
}

impl<F: FnMut()> OnDrop<F> {
    pub(crate) fn new(undo: F) -> Self {
        Self { undo, armed: true }
    }

    /// What was done may stay.
    pub(crate) fn disarm(mut self) {
        self.armed = false;
    }
}

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if self.armed {
            (self.undo)();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_guard_runs_once_unless_disarmed() {
        let runs = Cell::new(0);
        drop(OnDrop::new(|| runs.set(runs.get() + 1)));
        OnDrop::new(|| runs.set(runs.get() + 1)).disarm();
        assert_eq!(runs.get(), 1);
    }
}
