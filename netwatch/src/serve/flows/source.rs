//! Where readers get their events from, and what is known of all readers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;

use super::{History, Ranking, Request};

/// Asks for the largest of the flows that go on and that a request wants, as they are now.
pub type Running<E> =
    Arc<dyn Fn(Arc<Request>, Ranking) -> BoxFuture<'static, Vec<Arc<E>>> + Send + Sync>;

/// Where events come from.
pub struct Source<E> {
    /// What has been told.
    pub history: Arc<History<E>>,
    /// What goes on.
    pub running: Running<E>,
    /// What is known of the readers.
    pub counts: Arc<Counts>,
    /// For how long a reader may take nothing.
    pub patience: Duration,
}

impl<E> Clone for Source<E> {
    fn clone(&self) -> Self {
        Self {
            history: Arc::clone(&self.history),
            running: Arc::clone(&self.running),
            counts: Arc::clone(&self.counts),
            patience: self.patience,
        }
    }
}

/// Figures about all readers since the start.
#[derive(Debug, Default)]
pub struct Counts {
    connected: AtomicU64,
    refused: AtomicU64,
    sent: AtomicU64,
    lost: AtomicU64,
}

impl Counts {
    /// Readers that are connected now.
    pub fn readers(&self) -> u64 {
        self.connected.load(Ordering::Relaxed)
    }

    /// Connections that were refused: too many, not permitted, or without a valid request.
    pub fn refusals(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Lines that readers have taken, and events that had gone before they came to them.
    pub fn lines(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.lost.load(Ordering::Relaxed))
    }

    pub(super) fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn sent(&self, lines: u64) {
        self.sent.fetch_add(lines, Ordering::Relaxed);
    }

    pub(super) fn lost(&self, events: u64) {
        self.lost.fetch_add(events, Ordering::Relaxed);
    }

    /// Counts a reader for as long as it is there.
    pub(super) fn connect(self: &Arc<Self>) -> Connected {
        self.connected.fetch_add(1, Ordering::Relaxed);
        Connected(Arc::clone(self))
    }
}

pub(super) struct Connected(Arc<Counts>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connected.fetch_sub(1, Ordering::Relaxed);
    }
}
