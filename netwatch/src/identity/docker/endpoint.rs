//! Where the engine is.

use std::{env, path::Path};

const DOCKER: &str = "/var/run/docker.sock";
const PODMAN: &str = "/run/podman/podman.sock";

/// The user's choice, `DOCKER_HOST`, Docker's usual socket, or Podman's if only that is there.
pub(super) fn choose(flag: Option<&str>) -> String {
    select(flag, env::var("DOCKER_HOST").ok().as_deref(), |path| Path::new(path).exists())
}

fn select(flag: Option<&str>, environment: Option<&str>, exists: impl Fn(&str) -> bool) -> String {
    if let Some(chosen) = [flag, environment].into_iter().flatten().find(|host| !host.is_empty()) {
        // A bare path is what people write in a hurry, and can only mean a socket.
        return if chosen.starts_with('/') {
            format!("unix://{chosen}")
        } else {
            chosen.to_owned()
        };
    }
    let path = if !exists(DOCKER) && exists(PODMAN) { PODMAN } else { DOCKER };
    format!("unix://{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_wins_over_the_environment() {
        assert_eq!(select(Some("tcp://a:1"), Some("tcp://b:1"), |_| true), "tcp://a:1");
        assert_eq!(select(None, Some("/x.sock"), |_| true), "unix:///x.sock");
        assert_eq!(select(Some(""), Some(""), |_| true), "unix:///var/run/docker.sock");
    }

    #[test]
    fn podman_is_taken_where_docker_is_not() {
        assert_eq!(select(None, None, |path| path == PODMAN), "unix:///run/podman/podman.sock");
        assert_eq!(select(None, None, |_| false), "unix:///var/run/docker.sock");
    }
}
