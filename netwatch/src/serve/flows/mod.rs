//! The socket: `netwatch flows` asks a running agent for its flow events, past and coming.
//!
//! Promises: whoever publishes an event never waits for a reader, and no reader for another one. The [`History`] is the
//! one place where events are kept; a reader is a position in it, so that a slow one costs nothing and misses what has
//! gone meanwhile, which it is told. Knows nothing of how an event looks: the agent's events are [`Event`]s.
//!
//! The protocol: the client sends one [`Request`], a line of JSON, and gets lines. Those that begin with `{"event":` are
//! [`Notice`]s about the stream, the others are events in the format that was asked for.

mod client;
mod filter;
mod folding;
mod history;
mod lines;
mod packed;
mod peer;
mod ranking;
mod reader;
mod renamed;
mod request;
mod server;
mod socket;
mod source;
#[cfg(test)]
mod tests;
mod top;

use std::{io, path::PathBuf, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

pub use client::{Answer, ClientError, NOT_PERMITTED, Reader};
pub use filter::{Criterion, Facts, Filter, Kind, Pattern, Term};
pub use folding::{Folder, Folding};
pub use history::{History, Limits};
pub use renamed::Role;
pub use request::{Command, Format, Notice, Request, Style};
pub use server::{serve, serve_one};
pub use socket::{Socket, bind};
pub use source::{Counts, Running, Source};
pub use top::{FlowName, Order, Ranking, Top, Totals};

/// Readers at a time. One more is told so.
pub const READERS: usize = 64;

/// For how long a reader may take nothing while there are others: a pager that waits for somebody is one too.
pub const PATIENCE: Duration = Duration::from_mins(10);

/// Where the socket is, and who may use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketPlace {
    /// Its file.
    pub path: PathBuf,
    /// The group whose members may use it, besides root and the agent's own user; `None`: the agent's own.
    pub group: Option<u32>,
}

/// What the history keeps.
pub trait Event: Serialize + DeserializeOwned + Send + Sync + Sized + 'static {
    /// What makes one event of several.
    type Folder: Folder<Self>;

    /// What filters ask for.
    fn facts(&self) -> Facts<'_>;

    /// What the flow that it is about has come to; `None` for what is about no flow.
    fn totals(&self) -> Option<Totals> {
        None
    }

    /// The memory that it takes, whatever it owns included.
    fn bytes(&self) -> usize;

    /// The line before all others, of a style that has one.
    fn header(_style: Style) -> Option<String> {
        None
    }

    /// Appends its line. An error leaves `out` as it was.
    fn write(&self, style: Style, out: &mut Vec<u8>) -> io::Result<()>;
}
