//! The layer of the environment: `NETWATCH_…` variables.

use std::ffi::OsString;

use super::{
    Failure,
    command::CONFIG_VARIABLE,
    nearest::nearest,
    option::{Key, OPTIONS, Spec},
    raw::{Origin, Raw},
};

/// Variable of the Docker command line, heeded below everything that is addressed to netwatch.
const DOCKER_HOST: &str = "DOCKER_HOST";

/// Variable of an option. An empty one counts as not set, as compose files write `${UNSET:-}`.
pub(super) fn layer(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Raw, Failure> {
    let mut raw = Raw::default();
    for spec in OPTIONS {
        let variable = spec.variable();
        if let Some(text) = text(&lookup, &variable)? {
            let texts = if spec.list { split(&text) } else { vec![text] };
            raw.set(spec.key, texts, Origin::Environment(variable));
        }
    }
    Ok(raw)
}

/// `DOCKER_HOST`, a layer of its own between file and defaults.
pub(super) fn docker_layer(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Raw, Failure> {
    let mut raw = Raw::default();
    if let Some(text) = text(&lookup, DOCKER_HOST)? {
        raw.set(Key::DockerHost, vec![text], Origin::Environment(DOCKER_HOST.to_owned()));
    }
    Ok(raw)
}

/// The value of a variable, if set and not empty.
pub(super) fn text(
    lookup: &impl Fn(&str) -> Option<OsString>,
    variable: &str,
) -> Result<Option<String>, Failure> {
    match lookup(variable).map(OsString::into_string) {
        Some(Ok(text)) if !text.is_empty() => Ok(Some(text)),
        Some(Err(_)) => Err(Failure::usage(format!("{variable}: the value is not UTF-8"))
            .hint("unset or correct it")),
        _ => Ok(None),
    }
}

/// Warnings about variables that look as if they were meant for netwatch. No errors: container engines add variables
/// of their own for a service of this name (`NETWATCH_SERVICE_HOST`).
pub(super) fn strangers(names: impl Iterator<Item = OsString>) -> Vec<String> {
    let known: Vec<String> =
        OPTIONS.iter().map(Spec::variable).chain([CONFIG_VARIABLE.to_owned()]).collect();
    names
        .filter_map(|name| name.into_string().ok())
        .filter(|name| name.starts_with("NETWATCH_") && !known.contains(name))
        .filter_map(|name| {
            let near = nearest(&name, known.iter().map(String::as_str))?;
            // The prefix alone makes any two of them alike; only what follows it tells a slip from a stranger.
            nearest(name.get(9..)?, [near.get(9..)?])?;
            Some(format!("unknown environment variable {name} (did you mean {near}?)"))
        })
        .collect()
}

/// Splits a list at its commas, but not within the braces and brackets of a glob: `{veth,br-}*`.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0_usize;
    for c in text.chars() {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts.iter().map(|part| part.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_split_at_commas_outside_of_globs() {
        assert_eq!(split("a, b"), ["a", "b"]);
        assert_eq!(split("{veth,br-}*,docker[0,1]"), ["{veth,br-}*", "docker[0,1]"]);
        assert_eq!(split("[::1]:1,:2"), ["[::1]:1", ":2"]);
        assert_eq!(split("a,"), ["a", ""]);
    }

    #[test]
    fn empty_is_not_set() {
        let raw = layer(|name| (name == "NETWATCH_FLOW_LOG").then(OsString::new)).expect("valid");
        assert_eq!(raw, Raw::default());
    }

    #[test]
    fn slips_are_noticed_and_strangers_are_not() {
        let notes = |name: &str| strangers([OsString::from(name)].into_iter());
        assert_eq!(
            notes("NETWATCH_FLOWLOG"),
            ["unknown environment variable NETWATCH_FLOWLOG (did you mean NETWATCH_FLOW_LOG?)"]
        );
        assert!(notes("NETWATCH_SERVICE_HOST").is_empty());
        assert!(notes("NETWATCH_FLOW_LOG").is_empty());
    }
}
