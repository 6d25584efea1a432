//! Takes connections at the socket: as many as may be, and no waiting for any of them.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::AsyncWriteExt as _,
    net::UnixStream,
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

use super::{super::connections::TELL_AGAIN, Event, Notice, READERS, Socket, Source, reader};

/// Until a connection has sent its request.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Until readers are cut off when the history has been closed.
const GRACE: Duration = Duration::from_millis(1_500);
/// For a refusal, which the empty buffer of a new connection has room for.
const REFUSAL_TIMEOUT: Duration = Duration::from_millis(100);
/// Pause after a failed accept: what fails (no file descriptors) fails again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often the socket's file is looked for: whoever cleans up a directory tells nobody.
const LOOK: Duration = Duration::from_secs(2);

/// Serves readers until the history is closed; then they get what there still is, within a moment. The socket's file is
/// gone when this is done.
pub async fn serve<E: Event>(mut socket: Socket, source: Source<E>) {
    let slots = Arc::new(Semaphore::new(READERS));
    let mut readers = JoinSet::new();
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut told, mut is_told) = (None, false);
    loop {
        // Reap what has ended; the set would grow for ever.
        while readers.try_join_next().is_some() {}
        let stream = tokio::select! {
            () = source.history.closed() => break,
            _ = look.tick() => {
                if !socket.is_there() {
                    is_told = make_again(&mut socket, is_told);
                }
                continue;
            }
            accepted = socket.listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    if told.is_none_or(|at: Instant| at.elapsed() >= TELL_AGAIN) {
                        tracing::warn!(%error, "cannot accept readers; trying again");
                        told = Some(Instant::now());
                    }
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        if !socket.allowed.admits(&stream) {
            source.counts.refuse();
            refuse(stream, "only root, the agent's user and the socket's group may read").await;
            continue;
        }
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            source.counts.refuse();
            refuse(stream, &format!("{READERS} readers are connected already")).await;
            continue;
        };
        let source = source.clone();
        readers.spawn(async move {
            reader::answer(stream, &source).await;
            drop(slot);
        });
    }
    drop(socket);
    let all = async { while readers.join_next().await.is_some() {} };
    let _ = timeout(GRACE, all).await;
    readers.shutdown().await;
}

/// Makes the socket again; says so, or once why that does not work. Answers with whether that has been said.
fn make_again(socket: &mut Socket, is_told: bool) -> bool {
    match socket.again() {
        Ok(new) => {
            tracing::warn!("somebody has removed the socket of `netwatch flows`; made it again");
            *socket = new;
            false
        }
        Err(error) => {
            if !is_told {
                tracing::warn!(%error, "somebody has removed the socket of `netwatch flows`; trying to make it again");
            }
            true
        }
    }
}

/// Serves one reader that needs no socket to come, until it has gone or the history is closed.
pub async fn serve_one<E: Event>(stream: UnixStream, source: &Source<E>) {
    let closed = async {
        source.history.closed().await;
        sleep(GRACE).await;
    };
    // Its place is its own.
    let source = Source { patience: Duration::MAX, ..source.clone() };
    tokio::select! {
        () = reader::answer(stream, &source) => {}
        () = closed => {}
    }
}

/// Says why, and closes.
async fn refuse(mut stream: UnixStream, reason: &str) {
    let line = Notice::Refused { reason: reason.to_owned() }.line();
    // Who does not take it learns from the closing.
    let _ = timeout(REFUSAL_TIMEOUT, stream.write_all(&line)).await;
}
