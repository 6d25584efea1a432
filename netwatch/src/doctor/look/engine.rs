//! Asks the engine, as the agent would.

use std::{io::ErrorKind, os::unix::net::UnixStream, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::super::facts::{Engine, EngineSocket};
use crate::identity::{DockerWatcher, EngineEvent, Network, engine_endpoint};

/// An engine that does not answer says so by then.
const PATIENCE: Duration = Duration::from_secs(15);
/// What a watcher tells at first is a few events.
const EVENTS: usize = 16;

/// The engine, and its networks if it answers.
pub(super) async fn look(host: Option<&str>) -> (Engine, Vec<Network>) {
    let endpoint = engine_endpoint(host);
    let (events, mut told) = mpsc::channel(EVENTS);
    let _watcher = DockerWatcher::spawn(host.map(str::to_owned), events);
    let end = Instant::now() + PATIENCE;
    let mut up = None;
    while let Ok(Some(event)) = timeout_at(end, told.recv()).await {
        match event {
            EngineEvent::Up { version, api, endpoint } => {
                up = Some(Engine::Up { version, api, endpoint });
            }
            EngineEvent::Networks(networks) => match up {
                Some(up) => return (up, networks),
                None => break,
            },
            EngineEvent::Down { reason } => {
                return (Engine::Down { reason, socket: socket(&endpoint) }, Vec::new());
            }
            _ => {}
        }
    }
    let silent = || Engine::Down {
        reason: format!("the container engine at {endpoint} does not answer"),
        socket: EngineSocket::Other,
    };
    (up.unwrap_or_else(silent), Vec::new())
}

fn socket(endpoint: &str) -> EngineSocket {
    let Some(path) = endpoint.strip_prefix("unix://") else { return EngineSocket::Other };
    match UnixStream::connect(path).map_err(|error| error.kind()) {
        Err(ErrorKind::NotFound) => EngineSocket::Absent,
        Err(ErrorKind::PermissionDenied) => EngineSocket::Forbidden,
        _ => EngineSocket::Other,
    }
}
