//! Scrapes: who asks for the counters, and when they are read for them.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::core::{ANSWERING_SHARE, after};
use crate::model::Snapshot;

/// Scrapes that may wait for the core.
pub(super) const SCRAPES: usize = 16;
/// But at least this often: a scrape is given up after five seconds.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Who waits for the counters.
pub(super) type Scrape = oneshot::Sender<Arc<Snapshot>>;

/// All who wait, at this time at the earliest; without those who have given up.
pub(super) async fn waiting<T>(
    time: Instant,
    scrapes: &mut mpsc::Receiver<oneshot::Sender<T>>,
) -> Option<Vec<oneshot::Sender<T>>> {
    let mut asked = after(time, scrapes, SCRAPES).await?;
    asked.retain(|scrape| !scrape.is_closed());
    Some(asked)
}

/// From the beginning of a snapshot that took so long to the next one.
pub(super) fn pause(took: Duration) -> Duration {
    (took * ANSWERING_SHARE).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn all_who_still_wait_are_answered_at_once() {
        let (scrape, mut scrapes) = mpsc::channel(SCRAPES);
        let mut answers = Vec::new();
        for _ in 0..3 {
            let (reply, answer) = oneshot::channel();
            scrape.send(reply).await.unwrap();
            answers.push(answer);
        }
        drop(answers.remove(1));
        let (now, later) = (Instant::now(), Instant::now() + Duration::from_hours(1));
        assert!(waiting(later, &mut scrapes).now_or_never().is_none(), "not before its time");
        let asked = waiting(now, &mut scrapes).await.unwrap();
        assert_eq!(asked.len(), 2);
        let snapshot = Arc::new(7);
        for scrape in asked {
            scrape.send(Arc::clone(&snapshot)).unwrap();
        }
        for answer in answers {
            assert!(Arc::ptr_eq(&answer.await.unwrap(), &snapshot));
        }
        assert!(waiting(now, &mut scrapes).now_or_never().is_none());
    }

    #[test]
    fn snapshots_take_their_share_and_nobody_waits_for_ever() {
        assert_eq!(pause(Duration::from_millis(10)), Duration::from_millis(200));
        assert_eq!(pause(Duration::from_millis(500)), LONGEST_PAUSE);
    }
}
