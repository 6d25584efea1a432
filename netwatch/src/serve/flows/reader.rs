//! One reader: its request, and then lines until it has all of them or has gone.

use std::{pin::pin, time::Instant};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    time::timeout,
};

use super::{Event, History, Notice, Request, server::REQUEST_TIMEOUT};

/// Answers one connection. Errors mean that the reader has gone, which is its right.
pub(super) async fn answer<E: Event>(mut stream: UnixStream, history: &History<E>) {
    let result = match request(&mut stream).await {
        Ok(request) => tell(&mut stream, history, &request).await,
        Err(reason) => stream.write_all(&Notice::Refused { reason }.line()).await,
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
    serde_json::from_slice(&line).map_err(|error| format!("the request is not understood: {error}"))
}

async fn tell<E: Event>(
    stream: &mut UnixStream,
    history: &History<E>,
    request: &Request,
) -> std::io::Result<()> {
    let is_wanted = |event: &E| {
        let facts = event.facts();
        request.since_ns.is_none_or(|since| facts.time.0 >= since.into())
            && request.until_ns.is_none_or(|until| facts.time.0 <= until.into())
            && request.filter.admits(&facts)
    };
    // Without following, what comes after the request is another one's business.
    let end = if request.follow { u64::MAX } else { history.end() };
    let mut next = match request.last {
        Some(count) => history.begin_of_last(count, end, is_wanted),
        None => history.begin(Instant::now()),
    };
    stream.write_all(E::header(request.style).unwrap_or_default().as_bytes()).await?;
    let mut lines = Vec::new();
    loop {
        let mut news = pin!(history.news());
        // Before reading: what comes after it is not missed.
        news.as_mut().enable();
        let portion = history.read(next, end, Instant::now());
        next = portion.next;
        lines.clear();
        if portion.missed > 0 {
            lines.extend(Notice::Missed { events: portion.missed }.line());
        }
        for event in portion.events.iter().filter(|event| is_wanted(event)) {
            event.write(request.style, &mut lines)?;
        }
        if next == end || portion.closed && portion.events.is_empty() {
            lines.extend(Notice::Done.line());
            return stream.write_all(&lines).await;
        }
        if !lines.is_empty() {
            stream.write_all(&lines).await?;
        } else if !portion.events.is_empty() {
            // A filter that admits nothing of a long history must not keep a thread from the others.
            tokio::task::yield_now().await;
        }
        if portion.events.is_empty() {
            tokio::select! {
                () = news => {}
                // A reader has nothing more to say: this is its end.
                _ = stream.read_u8() => return Ok(()),
            }
        }
    }
}
