//! Compressing and removing, on a thread of its own: the flow log does not wait for it.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use tracing::warn;

use super::{
    super::config::Rotation,
    folder::{Folder, Untidy},
};

/// The thread. Dropping it ends it soon; what it was compressing then is left for the next start.
pub(super) struct Tidying {
    wake: Option<SyncSender<Folder>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Tidying {
    pub(super) fn start(rotation: Rotation) -> io::Result<Self> {
        // One that waits is enough: it finds whatever has come until then.
        let (wake, folders) = sync_channel::<Folder>(1);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new().name("flow-log-tidy".to_owned()).spawn(move || {
            let mut failing = false;
            while let Ok(folder) = folders.recv() {
                let result = folder.tidy(rotation, &stopped);
                // Once, not at each rotation.
                if let Err(Untidy { what, path, error }) = &result
                    && !failing
                {
                    warn!(%error, path = %path.display(), "rotated flow logs cannot be {what}");
                }
                failing = result.is_err();
            }
        })?;
        Ok(Self { wake: Some(wake), stop, thread: Some(thread) })
    }

    /// Something has given way there.
    pub(super) fn wake(&self, folder: Folder) {
        if let Some(wake) = &self.wake {
            // Where it is full, one waits already.
            let _ = wake.try_send(folder);
        }
    }
}

impl Drop for Tidying {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}
