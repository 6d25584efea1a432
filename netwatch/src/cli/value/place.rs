//! Where things are found or put: the flow log, the engine's socket, the path of the metrics.

use std::path::PathBuf;

use crate::agent::config::FlowLogTarget;

use super::Wrong;

/// `-` or a file. Whether its directory exists is not a question of the text.
pub(crate) fn flow_log(text: &str) -> Result<FlowLogTarget, Wrong> {
    match text {
        "" => Err(Wrong::new(
            "is empty",
            "give a file, or - for standard output; leave the option out for no flow log",
        )),
        "-" => Ok(FlowLogTarget::Stdout),
        path => Ok(FlowLogTarget::File(path.into())),
    }
}

/// A file that there is.
pub(crate) fn file(text: &str) -> Result<PathBuf, Wrong> {
    match text {
        "" => Err(Wrong::new("is empty", "give the path of a file, or leave the option out")),
        path => Ok(path.into()),
    }
}

/// A directory. Whether it is there is not a question of the text.
pub(crate) fn directory(text: &str) -> Result<PathBuf, Wrong> {
    match text {
        path if path.starts_with('/') => Ok(path.into()),
        _ => Err(Wrong::new("is no absolute path", "give the whole path of a directory")),
    }
}

/// `unix:///path` or `tcp://host:port`.
pub(crate) fn docker_host(text: &str) -> Result<String, Wrong> {
    const HINT: &str = "give unix:///path/to/socket or tcp://host:port";
    match text.split_once("://") {
        Some(("unix", path)) if path.len() > 1 && path.starts_with('/') => Ok(text.to_owned()),
        Some(("unix", _)) => Err(Wrong::new("has no absolute path", HINT)),
        Some(("tcp", rest)) => {
            let port =
                rest.trim_end_matches('/').rsplit_once(':').filter(|(host, _)| !host.is_empty());
            match port.map(|(_, port)| port.parse::<u16>()) {
                Some(Ok(1..)) => Ok(text.to_owned()),
                _ => Err(Wrong::new("has no host and port", HINT)),
            }
        }
        Some((scheme, _)) => {
            Err(Wrong::new(format!("has a scheme that is not supported ({scheme})"), HINT))
        }
        None if text.starts_with('/') => {
            Err(Wrong::new("has no scheme", format!("write unix://{text}")))
        }
        None => Err(Wrong::new("has no scheme", HINT)),
    }
}

/// An absolute path that the web server has no other use for.
pub(crate) fn telemetry_path(text: &str) -> Result<String, Wrong> {
    const HINT: &str = "give a path such as /metrics";
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '~');
    if !text.starts_with('/') {
        return Err(Wrong::new("does not begin with /", HINT));
    }
    if text.contains("//") || !text.chars().all(allowed) {
        return Err(Wrong::new(
            "is not a plain path",
            format!("{HINT}, of letters, digits, / - _ . ~"),
        ));
    }
    let taken = |prefix: &str| {
        text == prefix || text.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'))
    };
    if text == "/" || taken("/-") || taken("/api") {
        return Err(Wrong::new("is taken by netwatch's own pages", HINT));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_hosts() {
        for text in [
            "unix:///var/run/docker.sock",
            "tcp://127.0.0.1:2375",
            "tcp://[::1]:2375",
            "tcp://box:2375/",
        ] {
            assert_eq!(docker_host(text), Ok(text.to_owned()));
        }
        for text in [
            "",
            "/run/docker.sock",
            "unix://run",
            "unix:///",
            "tcp://box",
            "tcp://:1",
            "tcp://box:0",
            "ssh://x",
        ] {
            assert!(docker_host(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn telemetry_paths() {
        for text in ["/metrics", "/a/b", "/-x", "/apis"] {
            assert_eq!(telemetry_path(text), Ok(text.to_owned()));
        }
        for text in
            ["", "metrics", "/", "/-/ready", "/api", "/api/v1", "/a b", "/{x}", "/a//b", "/ä"]
        {
            assert!(telemetry_path(text).is_err(), "{text:?}");
        }
    }
}
