//! A Docker engine for the tests, with their image in it: one of our own where none answers, stopped with everything it left on
//! the host.
//!
//! Its keeper is a process of its own (`xtask engine`, as root), which stops the engine when its standard input closes.
//! So the engine goes whenever the process that wanted it goes, in whatever way.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read as _},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail};
use tempfile::TempDir;

use crate::{
    cleanup,
    command::{command, dies_with_us, find, line, step, tail, wait},
    docker::{Answer, Host, client},
    firewall::Traces,
    image,
    refused::Refused,
    report::{say, show},
    root::{Root, is_root},
};

const START: Duration = Duration::from_mins(1);
const STOP: Duration = Duration::from_secs(30);
/// The group that may ask it: that of nobody, who the tests' agents are.
const NOBODY: &str = "65534";

/// An engine that answers; stopped when dropped, if it is our own.
pub(crate) struct Engine {
    pub(crate) host: Host,
    keeper: Option<Child>,
}

impl Engine {
    /// The engine that is there, or one of our own.
    pub(crate) fn find_or_start(root: Root) -> Result<Self> {
        let host = Host::configured();
        if host.ping() != Answer::No {
            say(format_args!("the tests use the Docker engine on {host}"));
            image::ensure(root, &host)?;
            return Ok(Self { host, keeper: None });
        }
        say(format_args!("no Docker engine answers on {host}: starting one for the tests"));
        let program = std::env::current_exe().context("finding this program")?;
        let mut command = root.command(&program.to_string_lossy());
        command.arg("engine").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = command.spawn().with_context(|| format!("starting {}", line(&command)))?;
        let ready = keeper.stdout.take();
        let mut engine = Self { host, keeper: Some(keeper) };
        engine.host = Host(first_line(ready)?);
        Ok(engine)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(keeper) = &mut self.keeper {
            drop(keeper.stdin.take());
            if let Err(error) = wait(keeper) {
                say(format_args!("could not wait for the Docker engine to stop: {error:#}"));
            }
        }
    }
}

/// What the keeper says first: where its engine listens. Does not miss Ctrl-C while it waits.
fn first_line(pipe: Option<impl io::Read + Send + 'static>) -> Result<String> {
    let pipe = pipe.context("the keeper of the Docker engine has no output")?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let _ = BufReader::new(pipe).read_line(&mut line);
        // Nobody waits any more after Ctrl-C.
        let _ = sender.send(line);
    });
    loop {
        cleanup::check()?;
        match receiver.recv_timeout(Duration::from_millis(50)) {
            Ok(line) if line.is_empty() => bail!("the Docker engine did not start"),
            Ok(line) => return Ok(line.trim().into()),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// `xtask engine`: keeps an engine until standard input ends.
pub(crate) fn keep() -> Result<()> {
    if !is_root() {
        return Err(Refused::new("a Docker engine needs root", "run it as root").into());
    }
    let unwanted = watch_input();
    // Dropped last: the folder, after what is mounted in it; what dockerd changed on the host, after dockerd.
    let folder = tempfile::Builder::new()
        .prefix("netwatch-docker-")
        // The agents of the tests are nobody's, and have to find the way to its socket.
        .permissions(fs::Permissions::from_mode(0o711))
        .tempdir()
        .context("making the engine's folder")?;
    let _traces = Traces::remember()?;
    let _mount = mount_cgroups()?;
    let mut daemon = Daemon::start(&folder, &[], &unwanted).or_else(|error| {
        cleanup::check()?;
        say(format_args!("dockerd did not start, trying the slower storage driver that works everywhere: {error:#}"));
        Daemon::start(&folder, &["--storage-driver", "vfs"], &unwanted)
    })?;
    image::ensure(Root::Here, &Host(daemon.host()))?;
    show(daemon.host());
    while !unwanted.load(Ordering::SeqCst) && !cleanup::requested() {
        if daemon.process.try_wait()?.is_some() {
            bail!("dockerd died\n{}", daemon.last_words());
        }
        thread::sleep(Duration::from_millis(50));
    }
    say("stopping the Docker engine");
    Ok(())
}

fn watch_input() -> Arc<AtomicBool> {
    let unwanted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&unwanted);
    thread::spawn(move || {
        // An error is as good a reason to stop as the end.
        let _ = io::stdin().lock().read_to_end(&mut Vec::new());
        flag.store(true, Ordering::SeqCst);
    });
    unwanted
}

/// dockerd wants to see cgroups; a machine without an init that mounts them has none.
fn mount_cgroups() -> Result<Option<cleanup::OnDrop<impl FnMut()>>> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("reading /proc/self/mounts")?;
    if mounts
        .lines()
        .any(|line| line.split(' ').nth(2).is_some_and(|kind| kind.starts_with("cgroup")))
    {
        return Ok(None);
    }
    say("no cgroups are mounted: mounting them while the engine runs");
    step("mount", &["-t", "cgroup2", "none", "/sys/fs/cgroup"])?;
    Ok(Some(cleanup::OnDrop::new(|| {
        if let Err(error) = step("umount", &["-l", "/sys/fs/cgroup"]) {
            say(format_args!("could not unmount the cgroups: {error:#}"));
        }
    })))
}

struct Daemon {
    process: Child,
    folder: PathBuf,
}

impl Daemon {
    fn start(folder: &TempDir, more: &[&str], unwanted: &AtomicBool) -> Result<Self> {
        let folder = folder.path().to_path_buf();
        let program = find("dockerd")
            .context("dockerd is not installed; `cargo xtask setup` installs docker.io")?;
        let log = File::create(folder.join("dockerd.log")).context("making dockerd's log file")?;
        let mut command = command(program);
        for (option, file) in [
            ("--data-root", "data"),
            ("--exec-root", "exec"),
            ("--pidfile", "dockerd.pid"),
            ("--config-file", "daemon.json"),
        ] {
            command.arg(option).arg(folder.join(file));
        }
        // A configuration of the host's own engine must not reach ours.
        fs::write(folder.join("daemon.json"), "{}").context("writing dockerd's configuration")?;
        command
            .args(["-H", &socket(&folder), "--group", NOBODY])
            .args(more)
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        // A keeper that is killed cannot stop dockerd any more; the kernel then does.
        dies_with_us(&mut command);
        let process = command.spawn().context("starting dockerd")?;
        let mut daemon = Self { process, folder };
        daemon
            .await_answer(unwanted)
            .map_err(|error| anyhow!("{error:#}\n{}", daemon.last_words()))?;
        Ok(daemon)
    }

    fn await_answer(&mut self, unwanted: &AtomicBool) -> Result<()> {
        let begin = Instant::now();
        while Host(self.host()).ping() != Answer::Yes {
            cleanup::check()?;
            if unwanted.load(Ordering::SeqCst) {
                bail!("interrupted");
            }
            if let Some(status) = self.process.try_wait()? {
                bail!("dockerd ended: {status}");
            }
            if begin.elapsed() > START {
                bail!("dockerd does not answer after {} s", START.as_secs());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn host(&self) -> String {
        socket(&self.folder)
    }

    fn last_words(&self) -> String {
        tail(&fs::read_to_string(self.folder.join("dockerd.log")).unwrap_or_default())
    }

    /// Removes containers and networks: the engine takes their bridges and rules along, and a container whose first
    /// process ignores SIGTERM would cost it ten seconds.
    fn empty(&self) -> Result<()> {
        let docker = client().context("no docker command")?;
        let (docker, host) = (docker.to_string_lossy(), self.host());
        let all = step(&docker, &["-H", &host, "ps", "--all", "--quiet"])?;
        let all: Vec<_> = all.split_whitespace().collect();
        if !all.is_empty() {
            step(&docker, &[&["-H", &host, "rm", "--force", "--volumes"], &all[..]].concat())?;
        }
        step(&docker, &["-H", &host, "network", "prune", "--force"]).map(drop)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // An engine that has died has nothing left to empty.
        if matches!(self.process.try_wait(), Ok(None))
            && Host(self.host()).ping() == Answer::Yes
            && let Err(error) = self.empty()
        {
            say(format_args!("could not remove the tests' containers and networks: {error:#}"));
        }
        let _ = cleanup::signal(self.process.id(), libc::SIGTERM);
        let begin = Instant::now();
        while matches!(self.process.try_wait(), Ok(None)) && begin.elapsed() < STOP {
            thread::sleep(Duration::from_millis(50));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
        unmount_below(&self.folder);
    }
}

fn socket(folder: &Path) -> String {
    format!("unix://{}", folder.join("docker.sock").display())
}

/// Else the folder cannot be removed.
fn unmount_below(folder: &Path) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let points = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .filter(|point| Path::new(point).starts_with(folder));
    for point in points.collect::<Vec<_>>().into_iter().rev() {
        if let Err(error) = step("umount", &["-l", point]) {
            say(format_args!("could not unmount {point}: {error:#}"));
        }
    }
}
