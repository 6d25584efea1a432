//! What a Docker-compatible engine tells of its containers, as it happens.
//!
//! Promises: the API version is negotiated; events are subscribed to before anything is listed; an engine that is
//! absent, refuses, hangs or dies is an event (`Down`) and never an error, and its return is noticed within ten seconds.
//! Names are handed on as they are, at most [`MAX_NAME`] bytes of them: whoever prints them escapes them.

mod convert;
mod endpoint;
mod failure;
mod happening;
mod known;
mod session;
#[cfg(test)]
mod testbed;
#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::mpsc, task::JoinHandle, time};

pub use convert::MAX_NAME;
pub use happening::{Happening, What};

use super::Network;
use crate::model::Container;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A change of the engine or of what it runs.
#[derive(Clone, Debug)]
pub enum EngineEvent {
    /// The engine answers; its containers and networks follow.
    Up {
        /// The engine's version.
        version: String,
        /// The API version that both sides speak.
        api: String,
        /// Where it was found.
        endpoint: String,
    },
    /// The engine does not answer. Said once for each reason.
    Down {
        /// One sentence: the cause and what to do about it.
        reason: String,
    },
    /// All running containers. What is not in it does not run.
    Containers(Vec<Container>),
    /// All networks.
    Networks(Vec<Network>),
    /// A container that starts, runs, or changed while running.
    Container(Container),
    /// Something happened to a container, running or not. Comes before what follows from it.
    Happened(Box<Happening>),
    /// A container stopped or was removed.
    Gone {
        /// Its identifier.
        id: String,
    },
}

/// What went wrong and was gone on from, since the start.
#[derive(Debug, Default)]
pub struct EngineCounters {
    /// Answers that were refused or could not be understood.
    pub errors: AtomicU64,
    /// Connections that were lost.
    pub disconnects: AtomicU64,
}

/// Follows an engine for as long as it lives.
#[derive(Debug)]
pub struct DockerWatcher {
    task: JoinHandle<()>,
    counters: Arc<EngineCounters>,
}

impl DockerWatcher {
    /// Begins to connect. `host` is the user's choice; without it `DOCKER_HOST`, then Docker's usual socket, then
    /// Podman's. Must be called within a Tokio runtime.
    pub fn spawn(host: Option<String>, events: mpsc::Sender<EngineEvent>) -> Self {
        let counters = Arc::new(EngineCounters::default());
        Self { task: tokio::spawn(follow(host, events, Arc::clone(&counters))), counters }
    }

    /// What went wrong so far.
    pub fn counters(&self) -> &EngineCounters {
        &self.counters
    }
}

impl Drop for DockerWatcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where the engine is looked for: `host`, `DOCKER_HOST`, Docker's usual socket, or Podman's if only that is there.
pub fn engine_endpoint(host: Option<&str>) -> String {
    endpoint::choose(host)
}

async fn follow(
    host: Option<String>,
    events: mpsc::Sender<EngineEvent>,
    counters: Arc<EngineCounters>,
) {
    let mut pause = FIRST_PAUSE;
    let mut told = None;
    loop {
        // Chosen anew each time: the socket may have come in the meantime.
        let endpoint = endpoint::choose(host.as_deref());
        let ended = session::run(&endpoint, &events, &counters).await;
        if ended.was_up {
            pause = FIRST_PAUSE;
            told = None;
            counters.disconnects.fetch_add(1, Ordering::Relaxed);
        }
        let Some(failure) = ended.failure else { return };
        let reason = failure.sentence(&endpoint);
        if told.as_ref() != Some(&reason) {
            tracing::warn!(%reason, "no container engine");
            if events.send(EngineEvent::Down { reason: reason.clone() }).await.is_err() {
                return;
            }
            told = Some(reason);
        }
        tokio::select! {
            () = events.closed() => return,
            () = time::sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
