//! Connections: as many as may be, for as long as they may. `axum::serve` has no time limits, so hyper is used directly.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use hyper::{
    Request,
    body::Incoming,
    header::{CONNECTION, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::watch,
    task::{JoinSet, yield_now},
    time::{Instant, sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use super::{
    Limits,
    bind::{Listener, Stream},
    door::{Door, TLS},
    settings::Settings,
    slots::{Slot, Slots},
    source::Source,
};

/// How much longer than [`Limits::grace`] a connection may take before it is aborted.
const ABORT_AFTER: Duration = Duration::from_millis(200);

/// Most that a request line and its headers may have; hyper answers 431 beyond it.
const MAX_HEAD: usize = 16 * 1024;
/// Pause after a failed accept: what fails (no file descriptors) fails again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often a user is told that accepting fails.
pub(super) const TELL_AGAIN: Duration = Duration::from_mins(1);

/// The first byte of a connection that speaks TLS: a handshake (RFC 8446, 5.1).
const HANDSHAKE: u8 = 0x16;
/// For who does not; [`TLS`] follows.
const PLAIN_TO_TLS: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n";

/// Serves a listener until `stop` becomes true or its sender is gone, then ends open requests within
/// [`Limits::grace`].
pub async fn serve(
    listener: Listener,
    router: Router,
    door: Door,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let slots = Slots::new(limits.connections);
    let mut connections = JoinSet::new();
    let mut told = None;
    loop {
        // Reap what has ended; the set would grow for ever.
        while connections.try_join_next().is_some() {}
        tokio::select! {
            () = stopped(&mut stop) => break,
            (stream, source, slot) = next(&listener, &slots, &mut told) => {
                let (router, door, stop) = (router.clone(), door.clone(), stop.clone());
                let visit = Visit { slot: Arc::new(slot), source, router, door, limits, stop };
                connections.spawn(visit.last(stream));
                // It is to be heard before so many others come that it has to give way.
                yield_now().await;
            }
        }
    }
    drop(listener);
    // A little longer than the connections give themselves; what is left then is aborted.
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(limits.grace + ABORT_AFTER, all).await;
    connections.shutdown().await;
}

/// The next connection, and then a place for it. What fails is told once a minute.
async fn next(
    listener: &Listener,
    slots: &Arc<Slots>,
    told: &mut Option<Instant>,
) -> (Box<dyn Stream>, Source, Slot) {
    loop {
        match listener.accept().await {
            Ok((stream, source)) => return (stream, source, slots.enter(source).await),
            Err(error) => {
                if told.is_none_or(|at| at.elapsed() >= TELL_AGAIN) {
                    tracing::warn!(%error, "cannot accept HTTP connections; trying again");
                    *told = Some(Instant::now());
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A connection, and what it needs.
struct Visit {
    slot: Arc<Slot>,
    source: Source,
    router: Router,
    door: Door,
    limits: Limits,
    stop: watch::Receiver<bool>,
}

impl Visit {
    /// Lasts until it has ended, or another one needs the place.
    async fn last(self, stream: Box<dyn Stream>) {
        let slot = Arc::clone(&self.slot);
        let counts = Arc::clone(&self.door.counts);
        tokio::select! {
            () = slot.displaced() => counts.displace(),
            () = self.talk(stream) => {}
        }
    }

    async fn talk(self, stream: Box<dyn Stream>) {
        let settings = self.door.live.current().await;
        let Some(tls) = settings.tls.clone() else {
            return self.http(stream, settings).await;
        };
        let secured = timeout(self.limits.header_timeout, secure(stream, tls)).await;
        match secured.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => self.http(stream, settings).await,
            Err(error) => {
                self.door.counts.handshake_failed();
                tracing::debug!(%error, source = ?self.source, "no TLS with a client");
            }
        }
    }

    async fn http(self, stream: Box<dyn Stream>, settings: Arc<Settings>) {
        let Self { slot, source, router, door, limits, mut stop } = self;
        let service = service_fn(|request: Request<Incoming>| {
            let (door, router, settings) = (door.clone(), router.clone(), Arc::clone(&settings));
            let (busy, visitor) = (slot.begin(), Arc::clone(&slot));
            async move {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(visitor);
                let now = door.live.current().await;
                let mut answer = door.answer(request, source, &now, router, busy).await;
                // What it was begun with is no longer in force: the next connection is another one.
                if !Arc::ptr_eq(&now, &settings) {
                    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(answer)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);

        // Whoever is being answered then has the time that an answer has.
        let over = async {
            tokio::select! {
                () = stopped(&mut stop) => limits.grace,
                () = sleep(limits.lifetime) => limits.answer_timeout,
            }
        };
        let result = tokio::select! {
            result = connection.as_mut() => result,
            // Whoever reads so slowly would keep the answer in memory.
            () = slot.overdue(limits.answer_timeout) => {
                return door.counts.cut_off();
            }
            patience = over => {
                connection.as_mut().graceful_shutdown();
                let Ok(result) = timeout(patience, connection).await else {
                    return door.counts.cut_off();
                };
                result
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "an HTTP connection ended early");
        }
    }
}

/// Speaks TLS, or says that one has to.
async fn secure(
    mut stream: Box<dyn Stream>,
    config: Arc<ServerConfig>,
) -> io::Result<Box<dyn Stream>> {
    let first = stream.read_u8().await?;
    if first != HANDSHAKE {
        stream.write_all(PLAIN_TO_TLS.as_bytes()).await?;
        stream.write_all(TLS.as_bytes()).await?;
        stream.shutdown().await?;
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it does not speak TLS"));
    }
    let (read, write) = tokio::io::split(stream);
    let whole = tokio::io::join(io::Cursor::new([first]).chain(read), write);
    Ok(Box::new(TlsAcceptor::from(config).accept(whole).await?))
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
