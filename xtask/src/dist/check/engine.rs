//! The image on a real engine: from inside it observes the host's containers, with the rights that compose.yaml names.

use std::{
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::super::{Release, image};
use crate::{
    cleanup::{self, OnDrop},
    command::capture,
    docker::{Host, client},
    engine::Engine,
    report::say,
    root::Root,
    workspace::root,
};

const AGENT: &str = "netwatch-dist-agent";
const SERVER: &str = "netwatch-dist-server";
const CLIENT: &str = "netwatch-dist-client";
const BPF: &str = "--cap-add=BPF";
const PERFMON: &str = "--cap-add=PERFMON";
const PATIENCE: Duration = Duration::from_mins(1);

/// Starts the agent from the image, lets one container ask another, and waits for the line that says so.
pub(super) fn check(rights: Root, release: &Release) -> Result<()> {
    let engine = Engine::find_or_start(rights)?;
    let docker = |arguments: &[&str]| capture(docker(rights, &engine.host)?.args(arguments));
    let archive = image::place(release);
    say("observing the engine from inside of the image");
    docker(&["load", "--input", &archive.display().to_string()])?;
    let _clean = OnDrop::new(|| {
        // Those that there are not are no failure.
        let _ = docker(&["rm", "--force", AGENT, SERVER, CLIENT]);
        let _ = docker(&[
            "rmi",
            "--force",
            "netwatch:latest",
            &format!("netwatch:{}", release.version),
        ]);
    });
    let socket = engine.host.0.strip_prefix("unix://").context("an engine behind a Unix socket")?;
    let volume = format!("{socket}:/var/run/docker.sock:ro");
    let options = options(&root().join("packaging/docker/compose.yaml"))?;
    let start = ["run", "--detach", "--name", AGENT, "--volume", &volume];
    let agent = [
        "netwatch:latest",
        "run",
        "--flow-log",
        "-",
        "--web.listen-address",
        "127.0.0.1:0",
        "--socket",
        "none",
        "--flow-idle-timeout",
        "2s",
    ];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    if let Err(error) = docker(&[&start[..], &options, &agent].concat()) {
        if !error.to_string().contains("unknown capability") {
            return Err(error);
        }
        say("this engine is too old for CAP_BPF: trying what compose.yaml says for such");
        let young = |option: &&str| ![BPF, PERFMON].contains(option);
        let mut older: Vec<&str> = options.iter().copied().filter(young).collect();
        older.push("--cap-add=SYS_ADMIN");
        docker(&[&start[..], &older, &agent].concat())?;
    }
    let logs = || docker_logs(rights, &engine.host);
    until("the agent is attached", || Ok(logs()?.contains(" attached ")), logs)?;

    let server = "netwatch-test:latest";
    docker(&[
        "run",
        "--detach",
        "--name",
        SERVER,
        server,
        "/bin/sh",
        "-c",
        "echo x >/x; exec timeout 100 httpd -f -p 80 -h /",
    ])?;
    let address = docker(&["inspect", "--format", "{{.NetworkSettings.IPAddress}}", SERVER])?;
    let ask = format!("sleep 1; until wget -q -O - http://{}/x; do sleep 1; done", address.trim());
    docker(&["run", "--name", CLIENT, server, "timeout", "30", "/bin/sh", "-c", &ask])?;
    let is_told = |log: String| {
        log.lines().any(|line| {
            line.contains(&format!("{CLIENT}:"))
                && line.contains(&format!("-> {SERVER}:80"))
                && line.contains("end=fin")
        })
    };
    until("the flow is told", || Ok(is_told(logs()?)), logs)?;

    docker(&["stop", "--time", "20", AGENT])?;
    let code = docker(&["inspect", "--format", "{{.State.ExitCode}}", AGENT])?;
    ensure!(code.trim() == "0", "the agent ended with {code}\n{}", logs()?);
    Ok(())
}

/// The rights that compose.yaml gives, as options of `docker run`. What is not understood is an error, so that nothing of it
/// goes untried.
fn options(compose: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(compose)
        .with_context(|| format!("reading {}", compose.display()))?;
    let mut options = Vec::new();
    for (key, option) in [
        ("network_mode", "--network"),
        ("pid", "--pid"),
        ("read_only", "--read-only"),
        ("cap_drop", "--cap-drop"),
        ("cap_add", "--cap-add"),
        ("security_opt", "--security-opt"),
        ("mem_limit", "--memory"),
    ] {
        let prefix = format!("    {key}: ");
        let Some(value) = text.lines().find_map(|line| line.strip_prefix(&prefix)) else {
            bail!("compose.yaml has no {key}");
        };
        let list = value.trim_matches(['[', ']']).split(", ");
        options.extend(list.map(|one| format!("{option}={}", one.trim_matches('"'))));
    }
    Ok(options)
}

fn docker(rights: Root, host: &Host) -> Result<Command> {
    let program = client().context("there is no docker command")?;
    let mut command = rights.command(&program.to_string_lossy());
    command.args(["-H", &host.0]);
    Ok(command)
}

/// Both streams.
fn docker_logs(rights: Root, host: &Host) -> Result<String> {
    let output = docker(rights, host)?.args(["logs", AGENT]).output().context("docker logs")?;
    Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

fn until(
    what: &str,
    mut probe: impl FnMut() -> Result<bool>,
    logs: impl Fn() -> Result<String>,
) -> Result<()> {
    let begin = Instant::now();
    while !probe()? {
        cleanup::check()?;
        if begin.elapsed() > PATIENCE {
            bail!("waited in vain: {what}\n{}", logs()?);
        }
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rights_are_those_of_compose() {
        let options = options(&root().join("packaging/docker/compose.yaml")).unwrap();
        for option in ["--network=host", "--cap-drop=ALL", "--cap-add=BPF", "--cap-add=NET_ADMIN"] {
            assert!(options.iter().any(|have| have == option), "{option}: {options:?}");
        }
        assert!(options.contains(&"--security-opt=no-new-privileges:true".to_owned()));
    }
}
