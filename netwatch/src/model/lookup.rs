//! A look-up of a name: a DNS query and what came of it.

use std::{borrow::Cow, net::IpAddr, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Endpoint, Instant, Protocol, Socket};

/// What an answer has in common with its query, beside the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Exchange {
    /// UDP or TCP.
    pub protocol: Protocol,
    /// Who asks.
    pub client: Socket,
    /// Who is asked.
    pub server: Socket,
    /// The number that the client gave it.
    pub id: u16,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Question {
    /// The name as it was sent, without the dot at its end; what is not printable is escaped (RFC 1035, section 5.1).
    pub name: String,
    /// The mnemonic of the record type, `TYPE65280` where it has none.
    pub kind: String,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The mnemonic of the response code; `other` where it has none.
    pub rcode: Cow<'static, str>,
    /// The addresses in it, in their order, as far as they were read.
    pub addresses: Vec<IpAddr>,
}

/// Why a name is not found, where that can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hint {
    /// A container has this name, but Docker's default network resolves no names of containers.
    DefaultBridge,
}

impl Hint {
    /// The hint that has this word; `None` for one that is not known.
    pub fn of(word: &str) -> Option<Self> {
        [Self::DefaultBridge].into_iter().find(|hint| hint.name() == word)
    }

    /// The word in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::DefaultBridge => "no-container-names-on-default-bridge",
        }
    }
}

/// A query, and its answer if there was one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup {
    /// Of the answer; where none came, of the last query.
    pub time: Instant,
    /// UDP or TCP.
    pub protocol: Protocol,
    /// Who asks.
    pub client: Endpoint,
    /// Who is asked.
    pub server: Endpoint,
    /// Network (Docker's name for it) of the one who asks; `None` where unknown.
    pub network: Option<Arc<str>>,
    /// What is asked for; `None` for a message that has no question.
    pub question: Option<Question>,
    /// What is answered; `None`: nothing came in time.
    pub answer: Option<Answer>,
    /// From the first query to the answer; `None` where one of them was not seen.
    pub took: Option<Duration>,
    /// Queries that were seen.
    pub queries: u32,
    /// Why the name is not found.
    pub hint: Option<Hint>,
}
