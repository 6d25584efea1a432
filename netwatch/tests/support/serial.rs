//! One test at a time: they share the host.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::docker;

static HOST: Mutex<()> = Mutex::new(());

/// The host, for one test. A test that failed with it in hand has still cleaned up.
pub fn host() -> MutexGuard<'static, ()> {
    let guard = alone();
    docker::sweep();
    guard
}

/// The same for a test that leaves nothing on the host.
pub fn alone() -> MutexGuard<'static, ()> {
    HOST.lock().unwrap_or_else(PoisonError::into_inner)
}
