//! The other end: asks an agent, and takes its lines apart.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
};

use super::{Notice, Request};

/// Why an agent cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no socket, or nobody listens there.
    #[error("no agent answers at {}: {source}", path.display())]
    NoAgent {
        /// The socket's file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The socket's mode does not let us in.
    #[error("not permitted to open {}", path.display())]
    NotPermitted {
        /// The socket's file.
        path: PathBuf,
    },
    /// The connection broke.
    #[error("the connection to the agent at {} broke: {source}", path.display())]
    Broken {
        /// The socket's file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl ClientError {
    /// What the user can do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NoAgent { .. } => {
                "start one with 'netwatch run' as root, or name its socket with --socket"
            }
            Self::NotPermitted { .. } => NOT_PERMITTED,
            Self::Broken { .. } => "look whether the agent still runs",
        }
    }
}

/// What to do for one who may not open the socket.
pub const NOT_PERMITTED: &str =
    "run it as root, or as a member of the group of 'netwatch run --socket-group'";

/// What an agent says.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// An event, as it is to be written, with its newline.
    Line(&'a [u8]),
    /// Something about the stream.
    Notice(Notice),
}

/// A connection whose request has been sent.
pub struct Reader {
    path: PathBuf,
    stream: BufReader<UnixStream>,
    line: Vec<u8>,
}

impl Reader {
    /// Connects, and asks.
    pub async fn connect(path: &Path, request: &Request) -> Result<Self, ClientError> {
        let path = path.to_owned();
        match UnixStream::connect(&path).await {
            Ok(stream) => Self::over(stream, path, request).await,
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                Err(ClientError::NotPermitted { path })
            }
            Err(source) => Err(ClientError::NoAgent { path, source }),
        }
    }

    /// Asks over a connection that is there; the path is for errors.
    pub async fn over(
        mut stream: UnixStream,
        path: PathBuf,
        request: &Request,
    ) -> Result<Self, ClientError> {
        let mut line = serde_json::to_vec(request).unwrap_or_default();
        line.push(b'\n');
        match stream.write_all(&line).await {
            // It has refused us before we had asked, and there is its reason to read.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(source) => return Err(ClientError::Broken { path, source }),
            Ok(()) => {}
        }
        Ok(Self { path, stream: BufReader::new(stream), line })
    }

    /// The next line. An agent that has no more to say says so: an end without that is an error.
    pub async fn next(&mut self) -> Result<Answer<'_>, ClientError> {
        self.line.clear();
        let end = || io::Error::from(ErrorKind::UnexpectedEof);
        match self.stream.read_until(b'\n', &mut self.line).await {
            Ok(_) if self.line.ends_with(b"\n") => {}
            Ok(_) => return Err(ClientError::Broken { path: self.path.clone(), source: end() }),
            Err(source) => return Err(ClientError::Broken { path: self.path.clone(), source }),
        }
        Ok(match Notice::parse(&self.line) {
            Some(notice) => Answer::Notice(notice),
            None => Answer::Line(&self.line),
        })
    }

    /// Whether the next line has still to come.
    pub fn has_to_wait(&self) -> bool {
        !self.stream.buffer().contains(&b'\n')
    }
}
