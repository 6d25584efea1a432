//! Waits until no program of the kernel runs any more that ran before.

#![expect(unsafe_code, reason = "the standard library has no membarrier")]

use std::thread::{self, JoinHandle};

/// One grace period at a time, waited for beside everything else: it takes some ten milliseconds.
#[derive(Default)]
pub(super) struct Grace(Option<JoinHandle<()>>);

impl Grace {
    /// Whether this kernel lets us wait: not where CPUs run without a clock tick (`nohz_full`).
    pub(super) fn is_possible(&self) -> bool {
        membarrier(libc::MEMBARRIER_CMD_QUERY) & i64::from(libc::MEMBARRIER_CMD_GLOBAL) != 0
    }

    /// Begins to wait, unless that has begun.
    pub(super) fn begin(&mut self) {
        if self.0.is_none() {
            let thread = thread::Builder::new().name("grace".into());
            // Where there is no thread to be had, the next time.
            self.0 = thread.spawn(wait).ok();
        }
    }

    /// Whether it is over that was begun. Says so once.
    pub(super) fn is_over(&mut self) -> bool {
        let is_over = self.0.as_ref().is_some_and(JoinHandle::is_finished);
        if is_over {
            self.0 = None;
        }
        is_over
    }
}

/// Programs run between `rcu_read_lock` and its end, and this command is `synchronize_rcu` (`kernel/sched/membarrier.c`).
fn wait() {
    membarrier(libc::MEMBARRIER_CMD_GLOBAL);
}

fn membarrier(command: libc::c_int) -> i64 {
    // SAFETY: integers only.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_grace_period_ends_and_says_so_once() {
        let mut grace = Grace::default();
        assert!(grace.is_possible(), "this kernel has no membarrier");
        assert!(!grace.is_over(), "none was begun");
        grace.begin();
        while !grace.is_over() {
            thread::sleep(Duration::from_millis(1));
        }
        assert!(!grace.is_over());
    }
}
