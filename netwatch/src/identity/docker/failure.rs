//! Why there is no engine, in one sentence that says what to do.

use std::{error::Error as _, io};

use bollard::errors::Error;

/// How a connection failed or ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The client could not get an answer.
    #[error(transparent)]
    Client(#[from] Error),
    /// No answer within the time allowed.
    #[error("timeout")]
    Hung,
    /// The stream of events ended.
    #[error("the stream of events ended")]
    Ended,
}

impl Failure {
    /// Cause and remedy.
    pub(super) fn sentence(&self, endpoint: &str) -> String {
        let client = match self {
            Self::Hung => return hung(endpoint),
            Self::Ended => {
                return format!(
                    "the container engine at {endpoint} closed the connection; waiting for it to come back"
                );
            }
            Self::Client(error) => error,
        };
        match client {
            Error::SocketNotFoundError(_) => absent(endpoint),
            Error::RequestTimeoutError => hung(endpoint),
            Error::UnsupportedURISchemeError { .. } => format!(
                "the container engine's address {endpoint} is of a kind that netwatch does not speak; use unix://PATH or tcp://HOST:PORT"
            ),
            Error::DockerResponseServerError { status_code, message } => format!(
                "the container engine at {endpoint} refused the request with status {status_code} ({message}); see its own log"
            ),
            Error::APIVersionParseError {}
            | Error::JsonDataError { .. }
            | Error::JsonSerdeError { .. } => format!(
                "what answers at {endpoint} does not speak the Docker API; check --docker-host"
            ),
            other => match io_kind(other) {
                Some(io::ErrorKind::NotFound) => absent(endpoint),
                Some(io::ErrorKind::PermissionDenied) => format!(
                    "permission to open the container engine's socket {endpoint} was denied; run netwatch as root or in the socket's group (usually docker)"
                ),
                Some(io::ErrorKind::ConnectionRefused) => format!(
                    "nobody listens at the container engine's address {endpoint}; start the engine, for example: systemctl start docker"
                ),
                _ => format!(
                    "the container engine at {endpoint} cannot be reached ({}); check that it runs",
                    chain(other)
                ),
            },
        }
    }
}

fn absent(endpoint: &str) -> String {
    format!(
        "there is no container engine's socket at {endpoint}; start the engine, mount its socket, or name it with --docker-host"
    )
}

fn hung(endpoint: &str) -> String {
    format!(
        "the container engine at {endpoint} does not answer within 5 seconds; see whether `docker ps` hangs too and restart the engine"
    )
}

fn io_kind(error: &Error) -> Option<io::ErrorKind> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        cause = error.source();
    }
    None
}

fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}
