//! Texts into values. Each function returns what is wrong with the text and what to write instead; where the text
//! stood is the caller's business.

mod address;
mod duration;
mod exclusion;
mod labels;
mod place;
mod size;
mod socket;

use globset::GlobMatcher;

pub(super) use address::{all_addresses, place};
pub(super) use duration::{age, duration, show_duration};
pub(super) use exclusion::{network, port, protocol, show_port};
pub(super) use labels::{labels, show_labels};
pub(super) use place::{directory, docker_host, file, flow_log, telemetry_path};
pub(super) use size::{show_size, size};
pub(super) use socket::{group, socket};

use crate::model;

/// The word for no limit.
const NO_LIMIT: &str = "none";

/// What is wrong with a value, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// What is wrong, as it follows the quoted value: `'x' is not a number`.
    pub(super) what: String,
    /// What to do.
    pub(super) hint: String,
}

impl Wrong {
    pub(super) fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: hint.into() }
    }
}

/// A whole number within bounds.
pub(super) fn number(text: &str, least: u32, most: u32) -> Result<u32, Wrong> {
    let hint = || format!("give a whole number from {least} to {most}");
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Wrong::new("is not a whole number", hint()));
    }
    match text.parse() {
        Ok(number) if number < least => Err(Wrong::new("is too small", hint())),
        Ok(number) if number <= most => Ok(number),
        // Only digits: what does not parse is too large.
        _ => Err(Wrong::new("is too large", hint())),
    }
}

/// A limit, or `none`.
pub(super) fn limit<T>(
    text: &str,
    parse: impl Fn(&str) -> Result<T, Wrong>,
) -> Result<Option<T>, Wrong> {
    match text {
        NO_LIMIT => Ok(None),
        _ => parse(text)
            .map(Some)
            .map_err(|Wrong { what, hint }| Wrong::new(what, format!("{hint}; or {NO_LIMIT}"))),
    }
}

/// As [`limit`] reads it.
pub(super) fn show_limit<T>(limit: Option<T>, show: impl Fn(T) -> String) -> String {
    limit.map_or_else(|| NO_LIMIT.to_owned(), show)
}

/// One of a few words.
pub(super) fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, Wrong> {
    choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        Wrong::new("is not known", format!("give one of: {}", words.join(", ")))
    })
}

/// A pattern for interface names.
pub(super) fn glob(text: &str) -> Result<GlobMatcher, Wrong> {
    pattern(text, "give a pattern such as 'veth*', 'br-?????' or '{docker0,br-*}'")
}

/// A pattern for names of containers and networks, and for addresses.
pub(super) fn name(text: &str) -> Result<GlobMatcher, Wrong> {
    pattern(text, "give a name, or a pattern such as 'web*', 'shop-?' or '{web,db}'")
}

fn pattern(text: &str, hint: &str) -> Result<GlobMatcher, Wrong> {
    if text.is_empty() {
        return Err(Wrong::new("is empty", hint));
    }
    model::glob(text).map_err(|what| Wrong::new(what, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_at_their_bounds() {
        let what = |text: &str| number(text, 1024, 4096).map_err(|wrong| wrong.what);
        assert_eq!(what("1024"), Ok(1024));
        assert_eq!(what("4096"), Ok(4096));
        assert_eq!(what("1023"), Err("is too small".into()));
        assert_eq!(what("4097"), Err("is too large".into()));
        assert_eq!(what("99999999999999999999"), Err("is too large".into()));
        for text in ["", "-1", "+2000", "2k", "2000.0", " 2000"] {
            assert_eq!(what(text), Err("is not a whole number".into()), "{text:?}");
        }
    }

    #[test]
    fn globs() {
        assert!(glob("veth*").expect("valid").is_match("veth12ab"));
        assert!(glob("{docker0,br-*}").expect("valid").is_match("br-1"));
        for text in ["", "[", "{a", "a{b{c}"] {
            assert!(glob(text).is_err(), "{text:?}");
        }
        let deep = "{".repeat(300) + "a" + &"}".repeat(300);
        assert_eq!(name(&deep).expect_err("too deep").what, "has more than 16 opening braces");
    }
}
