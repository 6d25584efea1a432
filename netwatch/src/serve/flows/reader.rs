//! One reader: its request, and then lines until it has all of them or has gone.

use std::{
    io,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    time::{sleep, timeout},
};

use super::{
    Event, Filter, Folding, History, Notice, Ranking, Request, Source, lines::Lines, ranking::rank,
    server::REQUEST_TIMEOUT,
};
use crate::model::WallTime;

/// Of one who follows until a time: so long after it there may still come events of before.
const LATENESS: Duration = Duration::from_secs(1);

/// How often it is looked whether something has been folded for long enough.
const FOLDING: Duration = Duration::from_millis(250);

/// Answers one connection. Errors mean that the reader has gone, which is its right.
pub(super) async fn answer<E: Event>(mut stream: UnixStream, source: &Source<E>) {
    let result = match request(&mut stream).await {
        Ok(request) => {
            let _connected = source.counts.connect();
            let request = Arc::new(request);
            let mut header = Lines::new(source);
            header.header::<E>(request.style);
            match (header.write(&mut stream).await, request.rank) {
                (Ok(()), None) => tell(&mut stream, source, &request).await,
                (Ok(()), Some(ranking)) => rank(&mut stream, source, &request, ranking).await,
                (error, _) => error,
            }
        }
        Err(reason) => {
            source.counts.refuse();
            stream.write_all(&Notice::Refused { reason }.line()).await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a reader has gone");
    }
}

/// The request, or why it is none.
async fn request(stream: &mut UnixStream) -> Result<Request, String> {
    let most = Request::MOST_BYTES;
    let mut line = Vec::new();
    let mut limited = BufReader::new(stream.take(most as u64 + 1));
    match timeout(REQUEST_TIMEOUT, limited.read_until(b'\n', &mut line)).await {
        Err(_) => return Err(format!("no request within {} s", REQUEST_TIMEOUT.as_secs())),
        Ok(Err(error)) => return Err(error.to_string()),
        Ok(Ok(_)) => {}
    }
    if line.len() > most {
        return Err(format!("the request is longer than {most} bytes"));
    }
    let request: Request = serde_json::from_slice(&line)
        .map_err(|error| format!("the request is not understood: {error}"))?;
    match request.rank {
        Some(Ranking { top, .. }) if top == 0 || top > Ranking::MOST => {
            Err(format!("top is not from 1 to {}", Ranking::MOST))
        }
        Some(_) if request.last.is_some() => Err("last and rank exclude each other".to_owned()),
        Some(_) if request.fold_ns.is_some() => Err("fold and rank exclude each other".to_owned()),
        _ if request.filter.0.len() > Filter::MOST => {
            Err(format!("the filter has more than {} terms", Filter::MOST))
        }
        _ => Ok(request),
    }
}

/// The number of the oldest event.
pub(super) fn begin<E: Event>(history: &History<E>) -> u64 {
    history.begin(Instant::now())
}

async fn tell<E: Event>(
    stream: &mut UnixStream,
    source: &Source<E>,
    request: &Request,
) -> io::Result<()> {
    let history = &source.history;
    let mut wanted = request.clone();
    // Whose names were others before that is the past's affair.
    let begun = history.end();
    // Without following, what comes after the request is another one's business.
    let end = if request.follow { u64::MAX } else { begun };
    let mut next = match request.last {
        Some(count) => {
            let is_wanted = |event: &E| request.wants(&event.facts());
            history.begin_of_last(count, end, Instant::now, is_wanted).await
        }
        None => begin(history),
    };
    let mut lines = Lines::new(source);
    let mut folding = Folding::new(request);
    let mut over = pin!(over(request));
    let mut is_over = false;
    loop {
        let mut news = pin!(history.news());
        // Before reading: what comes after it is not missed.
        news.as_mut().enable();
        let portion = history.read(next, end, Instant::now());
        let first = portion.next - portion.events.len() as u64;
        next = portion.next;
        lines.missed(portion.missed);
        let is_last = next == end || (portion.closed || is_over) && portion.events.is_empty();
        lines.folded(request.style, |out| {
            // What comes as it happens is told a moment later, which is no part of the time within which it is folded.
            if first >= begun {
                folding.tick(now(), out);
            }
            for (number, event) in (first..).zip(&portion.events) {
                let facts = event.facts();
                if number >= begun {
                    wanted.filter.follow(&facts);
                }
                if wanted.wants(&facts) {
                    folding.take(event, out);
                }
            }
            if is_last {
                folding.finish(out);
            }
        })?;
        if is_last {
            lines.notice(&Notice::Done);
            return lines.write(stream).await;
        }
        if !lines.is_empty() {
            lines.write(stream).await?;
        } else if !portion.events.is_empty() {
            // A filter that admits nothing of a long history must not keep a thread from the others.
            tokio::task::yield_now().await;
        }
        if portion.events.is_empty() {
            tokio::select! {
                () = news => {}
                () = &mut over => is_over = true,
                () = sleep(FOLDING), if folding.is_waiting() => {}
                // A reader has nothing more to say: this is its end.
                _ = stream.read_u8() => return Ok(()),
            }
        }
    }
}

fn now() -> WallTime {
    WallTime(Timestamp::now().as_nanosecond())
}

/// Is ready when nothing can come any more that a request wants.
async fn over(request: &Request) {
    let now = now().0;
    match request.until_ns.map(|until| u64::try_from(i128::from(until) - now).unwrap_or(0)) {
        Some(ns) => sleep(Duration::from_nanos(ns) + LATENESS).await,
        None => std::future::pending().await,
    }
}
