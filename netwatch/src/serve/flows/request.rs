//! What goes over the socket besides events.

use serde::{Deserialize, Serialize};

use super::{Facts, Filter, Ranking};

/// What a client asks for: one line of JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// What is wanted.
    pub command: Command,
    /// Go on with events as they come, until the client has gone.
    #[serde(default)]
    pub follow: bool,
    /// Of past events, only so many that the filter admits; `None`: all.
    #[serde(default)]
    pub last: Option<usize>,
    /// Not the events, but the largest flows, each by its last event; of one who follows, again and again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank: Option<Ranking>,
    /// One event for those that begin and end within so many nanoseconds, between the same two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fold_ns: Option<u64>,
    /// No events before this time, in nanoseconds since the Unix epoch.
    #[serde(default)]
    pub since_ns: Option<i64>,
    /// No events after this time.
    #[serde(default)]
    pub until_ns: Option<i64>,
    /// How lines look.
    #[serde(default)]
    pub style: Style,
    /// Which events.
    #[serde(default)]
    pub filter: Filter,
}

impl Request {
    /// Longest line.
    pub const MOST_BYTES: usize = 16 * 1024;

    /// Whether an event is in the span that is asked for.
    pub fn spans(&self, facts: &Facts<'_>) -> bool {
        self.since_ns.is_none_or(|since| facts.time.0 >= since.into())
            && self.until_ns.is_none_or(|until| facts.time.0 <= until.into())
    }

    /// Whether an event is asked for.
    pub fn wants(&self, facts: &Facts<'_>) -> bool {
        self.spans(facts) && self.filter.admits(facts)
    }
}

/// What the socket can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Flow events.
    Flows,
}

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For people, with addresses, interfaces, images and numbers of flows.
    Wide,
    /// One JSON object a line, with the schema of the flow log.
    Json,
    /// A row of a table, behind a line with the names of its columns.
    Csv,
}

/// How a reader wants its lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Style {
    /// Text, JSON or a table.
    #[serde(default)]
    pub format: Format,
    /// Text: with colours.
    #[serde(default)]
    pub colour: bool,
}

/// A line about the stream itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Notice {
    /// The reader was too slow: so many events had gone from the history before it got to them. Which of them its
    /// filter would have admitted is not known.
    Missed {
        /// How many.
        events: u64,
    },
    /// The request cannot be answered. Nothing follows.
    Refused {
        /// Why.
        reason: String,
    },
    /// Of a reader that wants the largest flows again and again: these are all for now.
    Page,
    /// That was all: of a reader that follows, because the agent stops.
    Done,
}

impl Notice {
    /// How a notice begins, and no event does.
    const MARK: &'static [u8] = b"{\"event\":";

    /// The line.
    pub(super) fn line(&self) -> Vec<u8> {
        // Texts and numbers always become JSON.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// The notice that a line is; `None` for an event.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        line.starts_with(Self::MARK).then(|| serde_json::from_slice(line).ok()).flatten()
    }
}
