//! Containers and networks of a test's own, by the docker command.

use std::{cell::RefCell, path::Path, process};

use super::{
    shell::{attempt, program},
    wait::until,
};

pub const IMAGE: &str = "netwatch-test:latest";
/// On everything that the tests make; its value is the process that made it.
const LABEL: &str = "netwatch.test";
/// Nothing in a container runs for longer than this, whatever becomes of the test.
const LIFETIME: &str = "1200";
/// What [`Container::web`] serves at `/big`.
pub const BIG: u64 = 10 << 20;

thread_local! {
    /// The engine of this thread's own, if it has one.
    static ENGINE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs the docker command. The distribution's own comes first: it fits the distribution's engine.
pub fn docker(arguments: &[&str]) -> String {
    try_docker(arguments).unwrap_or_else(|complaint| panic!("{complaint}"))
}

fn try_docker(arguments: &[&str]) -> Result<String, String> {
    let client = program(&["/usr/bin/docker", "/usr/local/bin/docker"]);
    let engine = ENGINE.with_borrow(Clone::clone);
    let at = engine.as_ref().map_or_else(Vec::new, |engine| vec!["-H", engine]);
    attempt(client, &[&at, arguments].concat())
}

/// From now on, what this thread asks of an engine it asks of this one.
pub fn use_engine(host: &str) {
    ENGINE.set(Some(host.to_owned()));
}

/// Where the engine's socket is.
pub fn socket() -> String {
    let host = ENGINE.with_borrow(Clone::clone).or_else(|| std::env::var("DOCKER_HOST").ok());
    let host = host.filter(|host| !host.is_empty());
    let host = host.unwrap_or_else(|| "unix:///var/run/docker.sock".into());
    host.strip_prefix("unix://").expect("these tests need an engine behind a Unix socket").into()
}

/// A name that no other run uses.
pub fn unique(name: &str) -> String {
    format!("nwt-{}-{name}", process::id())
}

/// Removes what a killed run of the tests has left.
pub fn sweep() {
    for (list, remove) in [
        (&["ps", "--all"] as &[&str], &["rm", "--force", "--volumes"] as &[&str]),
        (&["network", "ls"], &["network", "rm"]),
    ] {
        let format = format!("{{{{.ID}}}} {{{{.Label \"{LABEL}\"}}}}");
        let filter = format!("label={LABEL}");
        let all = docker(&[list, &["--filter", &filter, "--format", &format]].concat());
        for (id, owner) in all.lines().filter_map(|line| line.split_once(' ')) {
            if !Path::new("/proc").join(owner).exists() {
                docker(&[remove, &[id]].concat());
            }
        }
    }
}

/// A container; removed when dropped.
pub struct Container {
    pub name: String,
}

impl Container {
    /// Starts one in the background. `options` are those of `docker run`.
    pub fn run(name: &str, options: &[&str], command: &[&str]) -> Self {
        let label = label();
        let start = ["run", "--detach", "--label", &label, "--name", name];
        // Before it is made: `docker run` may fail after it has made the container.
        let taken = try_docker(&["inspect", "--format", "{{.Id}}", name]);
        assert!(taken.is_err(), "a container {name} exists and is not ours: remove it");
        let container = Self { name: name.into() };
        docker(&[&start, options, &[IMAGE], command].concat());
        container
    }

    /// One that does nothing.
    pub fn idle(name: &str, options: &[&str]) -> Self {
        Self::run(name, options, &["/bin/sleep", LIFETIME])
    }

    /// One that serves `/big` and `/small` at port 80; it listens.
    pub fn web(name: &str, options: &[&str]) -> Self {
        let script = format!(
            "mkdir /www && head -c {BIG} /dev/zero >/www/big && echo hello >/www/small && \
             exec timeout {LIFETIME} httpd -f -p 80 -h /www"
        );
        let container = Self::run(name, options, &["/bin/sh", "-c", &script]);
        container.until_serving();
        container
    }

    /// Waits until a server listens at port 80, without sending it anything.
    pub fn until_serving(&self) {
        let listening = "grep -q ':0050 .* 0A ' /proc/net/tcp /proc/net/tcp6";
        until(&format!("{} serves", self.name), || {
            try_docker(&["exec", &self.name, "/bin/sh", "-c", listening]).ok()
        });
    }

    /// Runs a command in it.
    pub fn exec(&self, command: &[&str]) -> String {
        docker(&[&["exec", &self.name], command].concat())
    }

    /// The same, where it may fail.
    pub fn try_exec(&self, command: &[&str]) -> Result<String, String> {
        try_docker(&[&["exec", &self.name], command].concat())
    }

    /// Pings an address, 56 bytes each time, fast.
    pub fn ping(&self, address: &str, count: u32) {
        let count = count.to_string();
        self.exec(&["/bin/ping", "-c", &count, "-i", "0.2", "-W", "5", address]);
    }

    /// Its address in a network.
    pub fn address(&self, network: &str) -> String {
        self.endpoint(network, "IPAddress")
    }

    /// The host's address in a network.
    pub fn gateway(&self, network: &str) -> String {
        self.endpoint(network, "Gateway")
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        docker(&["inspect", "--format", "{{.State.Pid}}", &self.name])
            .trim()
            .parse()
            .expect("a pid")
    }

    /// What the engine says of its place in a network.
    pub fn endpoint(&self, network: &str, field: &str) -> String {
        let format = format!("{{{{(index .NetworkSettings.Networks {network:?}).{field}}}}}");
        let value = docker(&["inspect", "--format", &format, &self.name]).trim().to_owned();
        assert!(!value.is_empty(), "{} has no {field} in {network}", self.name);
        value
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = try_docker(&["rm", "--force", "--volumes", &self.name]);
    }
}

/// A user-defined bridge network; removed when dropped, so it has to be made before its containers.
pub struct Network {
    pub name: String,
}

impl Network {
    pub fn create(name: &str) -> Self {
        Self::create_with(name, &[])
    }

    /// The same with options of `docker network create`.
    pub fn create_with(name: &str, options: &[&str]) -> Self {
        let network = Self { name: unique(name) };
        let label = label();
        let create = ["network", "create", "--label", &label];
        docker(&[&create, options, &[&network.name]].concat());
        network
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = try_docker(&["network", "rm", &self.name]);
    }
}

/// Whose something is: what belongs to a process that lives is swept by nobody.
pub fn label() -> String {
    format!("{LABEL}={}", process::id())
}
