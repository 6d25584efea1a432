//! Waits until no program of the kernel runs any more that ran before.

#![expect(unsafe_code, reason = "the standard library has no membarrier")]

use std::thread::{self, JoinHandle};

/// One grace period at a time, waited for beside everything else: it takes some ten milliseconds.
pub(super) struct Grace {
    /// Whether this kernel lets us wait: not where CPUs run without a clock tick (`nohz_full`).
    pub(super) is_possible: bool,
    thread: Option<JoinHandle<bool>>,
}

impl Grace {
    pub(super) fn new() -> Self {
        Self { is_possible: is_possible(), thread: None }
    }

    /// Begins to wait, unless that has begun.
    pub(super) fn begin(&mut self) {
        if self.thread.is_none() {
            let thread = thread::Builder::new().name("grace".into());
            // Where there is no thread to be had, the next time.
            self.thread = thread.spawn(wait).ok();
        }
    }

    /// Once, when what was begun is over: whether it was waited for. If not, it never will be.
    pub(super) fn end(&mut self) -> Option<bool> {
        let thread = self.thread.take_if(|thread| thread.is_finished())?;
        let waited = thread.join().unwrap_or(false);
        self.is_possible &= waited;
        Some(waited)
    }
}

/// Whether this kernel offers it.
pub(super) fn is_possible() -> bool {
    let commands = membarrier(libc::MEMBARRIER_CMD_QUERY);
    commands > 0 && commands & i64::from(libc::MEMBARRIER_CMD_GLOBAL) != 0
}

/// Programs run between `rcu_read_lock` and its end, and this command is `synchronize_rcu` (`kernel/sched/membarrier.c`).
pub(super) fn wait() -> bool {
    membarrier(libc::MEMBARRIER_CMD_GLOBAL) == 0
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
        let mut grace = Grace::new();
        assert!(grace.is_possible, "this kernel has no membarrier");
        assert_eq!(grace.end(), None, "none was begun");
        grace.begin();
        let ended = loop {
            if let Some(ended) = grace.end() {
                break ended;
            }
            thread::sleep(Duration::from_millis(1));
        };
        assert!(ended && grace.is_possible);
        assert_eq!(grace.end(), None);
    }
}
