//! A DNS message on its way.

use bytes::Bytes;

use super::{EntrySide, Instant, Protocol, Socket};

/// A message as one hook saw it. Not parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// When it passed, exactly.
    pub time: Instant,
    /// The interface it passed.
    pub ifindex: u32,
    /// The hook.
    pub side: EntrySide,
    /// Who sent it.
    pub source: Socket,
    /// To whom.
    pub destination: Socket,
    /// UDP or TCP.
    pub protocol: Protocol,
    /// Bytes behind the header of UDP or TCP, in full.
    pub len: u32,
    /// The first of them: all, unless the message is very long.
    pub bytes: Bytes,
}
