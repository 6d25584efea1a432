//! `--web.config.file`: TLS, users, headers and a rate, in the format of Prometheus's exporter-toolkit
//! (<https://github.com/prometheus/exporter-toolkit>, docs/web-configuration.md).
//!
//! Promises: an unknown key is an error with its line; a change is in force with the next request; a change that makes
//! no sense, or would take protection away, leaves what was in force.

mod client;
mod file;
mod live;
mod names;
mod reading;
#[cfg(test)]
mod tests;
mod tls;

use std::{
    collections::BTreeMap,
    fmt::Display,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::http::{HeaderName, HeaderValue, header};
use bcrypt::HashParts;
use tokio_rustls::rustls::ServerConfig;

pub use live::Live;

use self::{
    client::Clients,
    file::{File, Headers, Spanned},
    reading::{Problem, Reading, one_line},
};

/// Checking a password takes twice as long with each. There is no bcrypt below the first; the last is a second or two.
const COSTS: RangeInclusive<u32> = 4..=15;

/// One request a day is as good as none.
const MOST_INTERVAL: Duration = Duration::from_hours(24);

/// Why a file cannot be in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {cause}", path.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct SettingsError {
    path: PathBuf,
    line: Option<u64>,
    cause: String,
    unreadable: bool,
}

impl SettingsError {
    /// Whether a file could not be read, as opposed to being wrong.
    pub fn is_unreadable(&self) -> bool {
        self.unreadable
    }
}

/// What a connection has to keep to. Without a file: nothing.
#[derive(Clone, Default)]
pub struct Settings {
    pub(super) tls: Option<Arc<ServerConfig>>,
    clients: Clients,
    /// The users, with the hashes of their passwords.
    pub(super) users: BTreeMap<String, String>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) rate: Option<Rate>,
}

/// So many requests at once, and one more each interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) burst: u32,
    pub(super) interval: Duration,
}

/// Reads a file and all that it names, as an agent that starts does.
pub fn check(path: &Path) -> Result<(), SettingsError> {
    load(path).0.map(|_| ())
}

/// The file, and the files that it names now.
pub fn files(path: &Path) -> Vec<PathBuf> {
    load(path).1.files()
}

fn load(path: &Path) -> (Result<Settings, SettingsError>, Reading) {
    let mut reading = Reading::new(path);
    let settings = read(path, &mut reading).map_err(|problem| {
        let Problem { line, cause, unreadable } = problem;
        SettingsError { path: path.to_owned(), line, cause, unreadable }
    });
    (settings, reading)
}

fn read(path: &Path, reading: &mut Reading) -> Result<Settings, Problem> {
    // Its own path as it was given, not below its folder.
    let name = path.file_name().ok_or_else(|| Problem::new("is not the name of a file"))?;
    let (_, text) = reading.read(name)?;
    let text = String::from_utf8(text).map_err(|_| Problem::new("the file is not UTF-8"))?;
    let file: Option<File> = serde_saphyr::from_str(&text).map_err(|error| {
        let error = error.without_snippet();
        let line = error.location().map(|location| location.line());
        Problem { line, ..Problem::new(one_line(cause(&error.to_string()))) }
    })?;
    let file = file.unwrap_or_default();
    let tls = file.tls_server_config.as_ref();
    let rate = file.rate_limit.filter(|rate| !rate.interval.is_zero());
    if rate.is_some_and(|rate| rate.interval > MOST_INTERVAL) {
        return Err(Problem::new("the interval of rate_limit is more than 24h"));
    }
    Ok(Settings {
        tls: tls.map(|section| tls::server_config(section, reading)).transpose()?.flatten(),
        clients: tls.map(|section| tls::clients(&section.value)).unwrap_or_default(),
        users: users(file.basic_auth_users.unwrap_or_default())?,
        headers: headers(
            &file.http_server_config.and_then(|http| http.headers).unwrap_or_default(),
        )?,
        rate: rate.map(|rate| Rate { burst: rate.burst, interval: rate.interval }),
    })
}

/// The place stands before the message already.
fn cause(message: &str) -> &str {
    message.split(" at line ").next().unwrap_or(message)
}

fn users(given: BTreeMap<String, Spanned<String>>) -> Result<BTreeMap<String, String>, Problem> {
    let mut users = BTreeMap::new();
    for (name, hash) in given {
        let parts: HashParts = hash.value.parse().map_err(|error| {
            let cause = format!("the password of {name:?} is no bcrypt hash ({error}); make one with: htpasswd -nBC 10 {name}");
            Problem::at(&hash, cause)
        })?;
        if !COSTS.contains(&parts.get_cost()) {
            let cause = format!(
                "the password of {name:?} has a cost of {}, not one from {} to {}: below there is no bcrypt, above checking it would take longer than a request may; make one with: htpasswd -nBC 10 {name}",
                parts.get_cost(),
                COSTS.start(),
                COSTS.end(),
            );
            return Err(Problem::at(&hash, cause));
        }
        users.insert(name, hash.value);
    }
    Ok(users)
}

fn headers(given: &Headers) -> Result<Vec<(HeaderName, HeaderValue)>, Problem> {
    let given = [
        (header::CONTENT_SECURITY_POLICY, shown(given.content_security_policy.as_ref())),
        (header::X_FRAME_OPTIONS, shown(given.x_frame_options.as_ref())),
        (header::X_CONTENT_TYPE_OPTIONS, shown(given.x_content_type_options.as_ref())),
        (header::X_XSS_PROTECTION, shown(given.x_xss_protection.as_ref())),
        (header::STRICT_TRANSPORT_SECURITY, shown(given.strict_transport_security.as_ref())),
    ];
    let mut headers = Vec::new();
    for (name, value) in given {
        // As in the toolkit an empty one is none.
        let Some((text, line)) = value.filter(|(text, _)| !text.is_empty()) else { continue };
        let value = HeaderValue::from_str(&text).map_err(|error| Problem {
            line: Some(line),
            ..Problem::new(format!("{name}: {error}"))
        })?;
        headers.push((name, value));
    }
    Ok(headers)
}

/// A value and its line.
fn shown<T: Display>(value: Option<&Spanned<T>>) -> Option<(String, u64)> {
    value.map(|value| (value.value.to_string(), value.referenced.line()))
}
