//! The HTTP side: `/` a landing page, `/metrics`, `/-/healthy`, `/-/ready`.
//!
//! Promises: it answers whatever the clients do (bounded connections, headers and time), it answers even when the agent
//! does not (503 with the reason), and it stops within two seconds. Knows nothing of metrics: the agent hands in a
//! [`Provider`].
//!
//! The way of a request: [`bind`] has the socket, [`connections`] gives it a place and speaks TLS, [`door`] asks who it is,
//! [`http`] answers. What TLS, users and headers there are is said by [`settings`].
//!
//! And the socket of `netwatch flows`: [`flows`].

mod ask;
mod bind;
mod connections;
mod counts;
mod door;
pub mod flows;
mod form;
mod gzip;
mod http;
mod page;
mod passwords;
mod pieces;
mod place;
mod rate;
pub mod settings;
mod slots;
mod socket_file;
mod source;
#[cfg(test)]
mod tests;
mod tries;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

pub use ask::ask;
pub use bind::{Listener, bind};
pub use connections::serve;
pub use counts::Counts;
pub use door::{Door, is_locked};
pub use form::Form;
pub use http::{Provider, Readiness, Site, router};
pub use place::{Place, UNIX};
pub use settings::{Live, SettingsError, files};
pub use socket_file::make_folder;

/// What keeps the HTTP side from starting.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {cause}; {remedy}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What is wrong with it.
        cause: String,
        /// What to do.
        remedy: String,
    },
    /// A Unix socket cannot be had.
    #[error("cannot listen at the socket {}: {cause}; {remedy}", path.display())]
    Socket {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
        /// What to do.
        remedy: String,
    },
    /// There is nothing from systemd to listen at.
    #[error(
        "no socket from systemd: {cause}; start netwatch by a .socket unit, or leave out --web.systemd-socket"
    )]
    Systemd {
        /// What is wrong.
        cause: String,
    },
    /// `--web.config.file` cannot be in force.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The path of the metrics cannot be one.
    #[error(
        "cannot serve metrics at {path:?}: {cause}; set --web.telemetry-path to a path such as /metrics"
    )]
    TelemetryPath {
        /// The path.
        path: String,
        /// What is wrong with it.
        cause: &'static str,
    },
}

/// What clients may use up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time, per listener. One more takes the place of the one that is idle longest.
    pub connections: usize,
    /// Requests for metrics at a time, per listener, from their coming until the answer has been sent; 0: as many as come.
    pub requests: usize,
    /// From the first wait for a request until its headers are complete; also how long an idle connection is kept.
    pub header_timeout: Duration,
    /// Until the provider has answered.
    pub provider_timeout: Duration,
    /// Until the client has taken the whole answer.
    pub answer_timeout: Duration,
    /// How long a connection may live.
    pub lifetime: Duration,
    /// Until open requests are cut off when a connection's life or the server ends.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            requests: 40,
            header_timeout: Duration::from_secs(5),
            provider_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(30),
            lifetime: Duration::from_mins(1),
            grace: Duration::from_millis(1_500),
        }
    }
}
