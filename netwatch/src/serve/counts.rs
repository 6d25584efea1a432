//! Figures about the HTTP side, since the start.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The status codes that are counted one by one.
const CODES: [u16; 9] = [200, 401, 404, 405, 413, 429, 500, 503, 0];

/// What became of requests and connections.
#[derive(Debug, Default)]
pub struct Counts {
    requests: [AtomicU64; CODES.len()],
    displaced: AtomicU64,
    cut: AtomicU64,
    handshakes_failed: AtomicU64,
    settings_failed: AtomicU64,
    has_settings: AtomicBool,
    settings_bad: AtomicBool,
}

impl Counts {
    /// Answers by status code; 0: any other.
    pub fn requests(&self) -> impl Iterator<Item = (u16, u64)> {
        CODES.into_iter().zip(self.requests.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Connections that had to make room for a new one.
    pub fn displaced(&self) -> u64 {
        self.displaced.load(Ordering::Relaxed)
    }

    /// Answers that their client did not take in time.
    pub fn cut(&self) -> u64 {
        self.cut.load(Ordering::Relaxed)
    }

    /// Connections that did not get as far as TLS.
    pub fn handshakes_failed(&self) -> u64 {
        self.handshakes_failed.load(Ordering::Relaxed)
    }

    /// Changes of the web configuration that could not be put in force.
    pub fn settings_failed(&self) -> u64 {
        self.settings_failed.load(Ordering::Relaxed)
    }

    /// Whether the web configuration is in force as it is now; `None`: there is none.
    pub fn settings_are_good(&self) -> Option<bool> {
        let has = self.has_settings.load(Ordering::Relaxed);
        has.then(|| !self.settings_bad.load(Ordering::Relaxed))
    }

    pub(super) fn answered(&self, code: u16) {
        let at = CODES.iter().position(|known| *known == code).unwrap_or(CODES.len() - 1);
        self.requests[at].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn displace(&self) {
        self.displaced.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn cut_off(&self) {
        self.cut.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn handshake_failed(&self) {
        self.handshakes_failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn settings_in_force(&self, good: bool) {
        self.has_settings.store(true, Ordering::Relaxed);
        self.settings_bad.store(!good, Ordering::Relaxed);
        self.settings_failed.fetch_add(u64::from(!good), Ordering::Relaxed);
    }
}
