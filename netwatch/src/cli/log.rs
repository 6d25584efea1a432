//! The log of netwatch itself, on standard error.

use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::terminal;
use crate::agent::journal::Journal;

/// What to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LogLevel {
    /// What ended or hindered something.
    Error,
    /// And what somebody should look at.
    Warn,
    /// And what is worth knowing.
    #[default]
    Info,
    /// And what helps to find a fault; kernel-side messages.
    Debug,
    /// And everything else.
    Trace,
}

impl LogLevel {
    /// The words of `--log.level`.
    pub(super) const WORDS: [(&str, Self); 5] = [
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];

    fn filter(self) -> LevelFilter {
        match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

/// How to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// The words of `--log.format`.
    pub(super) const WORDS: [(&str, Self); 2] = [("text", Self::Text), ("json", Self::Json)];
}

/// `--log.level` and `--log.format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LogOptions {
    /// What.
    pub level: LogLevel,
    /// How.
    pub format: LogFormat,
}

impl LogOptions {
    /// Starts logging. The level is that of netwatch's own crates, kernel side included (all targets that begin with
    /// `netwatch`); libraries have a say only when something is wrong.
    pub(super) fn start(self) {
        let level = self.level.filter();
        let filter = Targets::new()
            .with_default(level.min(LevelFilter::WARN))
            .with_target("netwatch", level);
        // A standard error that cannot be written to is no reason to end: no message about failed messages.
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(|| Journal)
            .with_ansi(terminal::colour_on_stderr())
            .log_internal_errors(false);
        let registry = tracing_subscriber::registry().with(filter);
        // Fails only where a subscriber is there already, which then is the one to log to.
        let _ = match self.format {
            LogFormat::Text => registry.with(layer).try_init(),
            LogFormat::Json => {
                registry.with(layer.json().flatten_event(true).with_ansi(false)).try_init()
            }
        };
    }
}
