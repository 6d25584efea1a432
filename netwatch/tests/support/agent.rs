//! The agent: the real program, for as long as a test needs it.

use std::{
    fs::{self, File},
    io,
    net::SocketAddr,
    os::unix::{fs::PermissionsExt, process::CommandExt as _},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    events::Events,
    http::{self, Response, free_address},
    kept,
    metrics::Metrics,
    netns,
    user::{self, Root},
    wait::{PATIENCE, until, within},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_netwatch");
/// The flow log's name in its folder.
const LOG: &str = "flows.jsonl";

/// Of the flow log, where a test has failed.
const LAST_LINES: usize = 200;

/// A running agent with a flow log in JSON. Dropping it stops it, by force if need be.
pub struct Agent {
    child: Child,
    pub address: SocketAddr,
    folder: Arc<TempDir>,
}

/// What an agent left when it had stopped.
pub struct Stopped {
    pub status: ExitStatus,
    pub log: String,
    pub stderr: String,
    /// Where its log is, and what of it was rotated.
    pub folder: Arc<TempDir>,
}

impl Stopped {
    /// The flow log's files, those that were rotated first.
    pub fn logs(&self) -> Vec<PathBuf> {
        kept::files(&self.folder.path().join(LOG))
    }
}

impl Agent {
    /// Starts it with these arguments, and waits until it is ready.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_by(&mut netwatch(), arguments)
    }

    /// The same as root's.
    pub fn start_as_root(why: Root, arguments: &[&str]) -> Self {
        Self::start_by(&mut netwatch_of_root(why), arguments)
    }

    /// The same where its pages are not for everybody.
    pub fn start_protected(arguments: &[&str]) -> Self {
        let mut agent = Self::spawn(&mut netwatch(), arguments);
        until("the agent is attached", || {
            if let Some(status) = agent.child.try_wait().expect("its state") {
                panic!("the agent ended: {status}\n{}", agent.stderr());
            }
            agent.stderr().contains("attached").then_some(())
        });
        agent
    }

    /// The same by a command of the caller's, which ends in the program.
    pub fn start_by(command: &mut Command, arguments: &[&str]) -> Self {
        Self::start_within(PATIENCE, command, arguments)
    }

    /// The same where there is much to attach to.
    pub fn start_within(patience: Duration, command: &mut Command, arguments: &[&str]) -> Self {
        let mut agent = Self::spawn(command, arguments);
        within(patience, "the agent is ready", || {
            if let Some(status) = agent.child.try_wait().expect("its state") {
                panic!("the agent ended: {status}\n{}", agent.stderr());
            }
            agent.try_get("/-/ready").filter(|response| response.status == 200)
        });
        agent
    }

    fn spawn(command: &mut Command, arguments: &[&str]) -> Self {
        let folder = TempDir::new().expect("a folder");
        // Whoever's it is. Asking for it at the making would not do: there is a umask.
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).expect("our folder");
        let folder = Arc::new(folder);
        let address = free_address();
        command
            .args(["run", "--flow-format", "json", "--web.listen-address", &address.to_string()])
            .arg("--flow-log")
            .arg(folder.path().join(LOG))
            .arg("--socket")
            .arg(folder.path().join("socket"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.path().join("stderr")).expect("a file"));
        let child = command.spawn().expect("netwatch runs");
        Self { child, address, folder }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A page, if it answers.
    pub fn try_get(&self, path: &str) -> Option<Response> {
        http::get(self.address, path).ok()
    }

    pub fn get(&self, path: &str) -> Response {
        until(path, || self.try_get(path))
    }

    /// A scrape, if it answers.
    pub fn try_metrics(&self) -> Option<Metrics> {
        let response = self.try_get("/metrics").filter(|response| response.status == 200)?;
        Some(Metrics::parse(&response.body))
    }

    pub fn metrics(&self) -> Metrics {
        until("a scrape", || self.try_metrics())
    }

    /// Waits until a scrape has what the test wants.
    pub fn until_metrics<T>(&self, what: &str, mut probe: impl FnMut(&Metrics) -> Option<T>) -> T {
        until(what, || probe(&self.metrics()))
    }

    /// Waits until an interface of a container is observed and named.
    pub fn until_named(&self, container: &str) -> String {
        let what = format!("an interface of {container}");
        self.until_metrics(&what, |metrics| {
            let labels = [("container", container)];
            let mut all = metrics.find("netwatch_interface_info", &labels);
            all.next().map(|series| series.labels["interface"].clone())
        })
    }

    pub fn log(&self) -> PathBuf {
        self.folder.path().join(LOG)
    }

    /// Where `netwatch flows` finds it.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    pub fn events(&self) -> Events {
        Events::parse(&fs::read_to_string(self.log()).expect("the flow log"))
    }

    /// Waits for a line of the flow log.
    pub fn until_event(&self, what: &str, mut is_it: impl FnMut(&Value) -> bool) -> Value {
        until(what, || self.events().0.into_iter().find(&mut is_it))
    }

    /// Waits for the end of a flow between two addresses, and answers with all its lines.
    pub fn until_ended(&self, protocol: &str, one: &str, other: &str) -> Vec<Value> {
        until(&format!("the end of {protocol} {one} {other}"), || {
            let events = self.events();
            let lines = events.between(protocol, one, other);
            let ended = lines.iter().any(|line| line["event"] == "end");
            ended.then(|| lines.into_iter().cloned().collect())
        })
    }

    pub fn stderr(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default()
    }

    /// Sends a signal and waits for the end.
    pub fn stop(mut self, signal: i32) -> Stopped {
        send(self.child.id(), signal);
        let status = until("the agent ends", || self.child.try_wait().expect("its state"));
        let log = fs::read_to_string(self.log()).expect("the flow log");
        Stopped { status, log, stderr: self.stderr(), folder: Arc::clone(&self.folder) }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        send(self.child.id(), libc::SIGTERM);
        let begin = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begin.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(25));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the agent said\n{}", self.stderr());
            let log = fs::read_to_string(self.log()).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.len().saturating_sub(LAST_LINES);
            eprintln!("--- its flow log, behind {last} lines\n{}\n---", lines[last..].join("\n"));
        }
    }
}

/// The program of the tests' user, without settings from the environment, and without a socket unless it is told of one. It does
/// not outlive the thread that starts it.
pub fn netwatch() -> Command {
    prepared(user::program(PROGRAM))
}

/// The same for another build of it.
pub fn program(path: &str) -> Command {
    prepared(user::program(path))
}

/// The same as root's.
pub fn netwatch_of_root(_why: Root) -> Command {
    prepared(Command::new(PROGRAM))
}

/// The same as nobody's, whoever the tests' user is.
pub fn netwatch_of_nobody() -> Command {
    prepared(user::unprivileged(PROGRAM))
}

/// The same as nobody's who may do nothing.
pub fn powerless() -> Command {
    prepared(user::powerless(PROGRAM))
}

/// The program for an agent that leaves what counts to the next one.
pub fn lasting() -> Command {
    lasting_by(env!("CARGO_BIN_EXE_netwatch"))
}

/// The same by another program.
pub fn lasting_by(path: &str) -> Command {
    let mut command = program(path);
    command.env_remove("NETWATCH_EPHEMERAL");
    command
}

fn prepared(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("NETWATCH_") {
            command.env_remove(name);
        }
    }
    // Where the host's own agent may have its socket.
    command.env("NETWATCH_SOCKET", "none");
    // What nobody foresaw is to be seen.
    command.env("NETWATCH_SANDBOX", "strict");
    // What outlives an agent is a test's own affair: see `lasting`.
    command.env("NETWATCH_EPHEMERAL", "true");
    // The host's engine would tell of containers that other tests have, elsewhere.
    if netns::is_own() {
        command.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    }
    // The kernel forgets it where a process becomes another user's.
    die_with_us(&mut command);
    command
}

/// Waits for the end of a program that should not take long.
pub fn end_of(child: &mut Child) -> ExitStatus {
    let end = within(PATIENCE, "the program ends", || match child.try_wait() {
        Ok(end) => end,
        Err(error) => panic!("{error}"),
    });
    child.wait().unwrap_or(end)
}

#[expect(unsafe_code, reason = "std sends no signals but SIGKILL")]
pub fn send(pid: u32, signal: i32) {
    let pid = libc::pid_t::try_from(pid).expect("a process id");
    // SAFETY: a child that has not been waited for, so the number is still its own.
    unsafe { libc::kill(pid, signal) };
}

#[expect(unsafe_code, reason = "std has no way to set the parent-death signal")]
/// It does not outlive the thread that starts it.
pub fn die_with_us(command: &mut Command) {
    // SAFETY: prctl is async-signal-safe and the closure touches no memory shared with the parent.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
}
