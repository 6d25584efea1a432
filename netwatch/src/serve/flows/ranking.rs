//! A reader that wants the largest flows: once, or again and again.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{io::AsyncReadExt as _, net::UnixStream, time::sleep};

use super::{Event, Notice, Ranking, Request, Source, Top, lines::Lines, reader::begin};

/// From one page to the next.
const PAGE_INTERVAL: Duration = Duration::from_secs(1);

/// Writes the largest flows of the span: those that have ended from the history, those that go on as they are now.
pub(super) async fn rank<E: Event>(
    stream: &mut UnixStream,
    source: &Source<E>,
    request: &Arc<Request>,
    ranking: Ranking,
) -> io::Result<()> {
    let history = &source.history;
    let mut request = Arc::clone(request);
    let mut past = Top::new(ranking);
    let mut read = None;
    loop {
        // Before the history: a flow that ends in between stands there, and that is its last word.
        let running = (source.running)(Arc::clone(&request), ranking).await;
        let mut lines = Lines::new(source);
        let end = history.end();
        let is_last = history.is_closed();
        // After the core has answered: what has gone until then has not been missed by a reader that has just come.
        let mut next = read.unwrap_or_else(|| begin(history));
        while next < end {
            let portion = history.read(next, end, Instant::now());
            next = portion.next;
            lines.missed(portion.missed);
            for event in &portion.events {
                let facts = event.facts();
                if read.is_some() && facts.containers[1].is_some() {
                    Arc::make_mut(&mut request).filter.follow(&facts);
                }
                if request.spans(&facts) {
                    if request.filter.admits(&facts) {
                        past.offer(event);
                    } else {
                        past.remove(event);
                    }
                }
            }
            // A long history must not keep a thread from the others.
            tokio::task::yield_now().await;
        }
        read = Some(next);
        let mut now = past.clone();
        for event in &running {
            now.offer(event);
        }
        for event in now.events() {
            lines.event(&**event, request.style)?;
            if lines.is_full() {
                lines.write(stream).await?;
            }
        }
        if !request.follow || is_last {
            lines.notice(&Notice::Done);
            return lines.write(stream).await;
        }
        lines.notice(&Notice::Page);
        lines.write(stream).await?;
        tokio::select! {
            () = sleep(PAGE_INTERVAL) => {}
            () = history.closed() => {}
            // A reader has nothing more to say: this is its end.
            _ = stream.read_u8() => return Ok(()),
        }
    }
}
