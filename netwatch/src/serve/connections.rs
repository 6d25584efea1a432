//! Connections: as many as may be, for as long as they may. `axum::serve` has no time limits, so hyper is used directly.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::Limits;

/// How much longer than [`Limits::grace`] a connection may take before it is aborted.
const ABORT_AFTER: Duration = Duration::from_millis(200);

/// Most that a request line and its headers may have; hyper answers 431 beyond it.
const MAX_HEAD: usize = 16 * 1024;
/// Pause after a failed accept: what fails (no file descriptors) fails again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves a listener until `stop` becomes true or its sender is gone, then ends open requests within
/// [`Limits::grace`].
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    loop {
        // Reap what has ended; the set would grow for ever.
        while connections.try_join_next().is_some() {}
        tokio::select! {
            () = stopped(&mut stop) => break,
            Some((stream, slot)) = next(&listener, &slots) => {
                connections.spawn(connection(stream, slot, router.clone(), limits, stop.clone()));
            }
        }
    }
    drop(listener);
    // A little longer than the connections give themselves; what is left then is aborted.
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(limits.grace + ABORT_AFTER, all).await;
    connections.shutdown().await;
}

/// Waits for a free slot first, then for a connection, which so stays in the bounded backlog of the kernel.
async fn next(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return Some((stream, slot)),
            Err(error) => {
                tracing::warn!(%error, "cannot accept an HTTP connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    _slot: OwnedSemaphorePermit,
    router: Router,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);

    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = async { tokio::select! { () = stopped(&mut stop) => {}, () = sleep(limits.lifetime) => {} } } => {
            connection.as_mut().graceful_shutdown();
            timeout(limits.grace, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "an HTTP connection ended early");
    }
}

/// Returns when the server is to stop; a sender that is gone will not say so any more.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_limits_stop_within_two_seconds() {
        assert!(Limits::default().grace + ABORT_AFTER < Duration::from_secs(2));
    }
}
