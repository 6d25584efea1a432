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

/// When the next snapshot may be made. They take their share of a CPU; what was not used of it in the last seconds may be
/// used at once, so that a few who ask at different times of a second need not wait for each other.
pub(super) struct Pace(Instant);

impl From<Instant> for Pace {
    /// The first one at this time.
    fn from(first: Instant) -> Self {
        Self(first)
    }
}

impl Pace {
    pub(super) fn next(&self) -> Instant {
        self.0
    }

    /// One was begun then, and took so long.
    pub(super) fn made(&mut self, begin: Instant, took: Duration) {
        let unused = begin.checked_sub(LONGEST_PAUSE).unwrap_or(begin);
        self.0 = self.0.max(unused) + (took * ANSWERING_SHARE).min(LONGEST_PAUSE);
    }
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

    /// Snapshots of so many milliseconds, each as soon as it may be, in a time that begins when nobody has asked for long.
    fn made_within(time: Duration, took: u64) -> usize {
        let took = Duration::from_millis(took);
        let begin = Instant::now() + Duration::from_hours(1);
        let (mut pace, mut now) = (Pace::from(begin - time), begin);
        let mut count = 0;
        while now < begin + time {
            pace.made(now, took);
            count += 1;
            let longest = now + LONGEST_PAUSE;
            now = (now + took).max(pace.next());
            assert!(now <= longest.max(begin + took), "nobody waits for ever");
        }
        count
    }

    #[test]
    fn snapshots_take_their_share_and_a_few_need_not_wait() {
        let minute = Duration::from_mins(1);
        // A twentieth of the minute, and of the two seconds before.
        assert_eq!(made_within(minute, 10), 300 + 10);
        assert_eq!(made_within(minute, 500), 31);
        // Four at nearly the same time.
        let begin = Instant::now() + Duration::from_hours(1);
        let mut pace = Pace::from(begin);
        for at in [10, 20, 30, 40] {
            let now = begin + minute + Duration::from_millis(at);
            assert!(pace.next() <= now);
            pace.made(now, Duration::from_millis(10));
        }
    }
}
