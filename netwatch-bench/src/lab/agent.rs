//! The agent as it is released, with its default flags, in the lab's namespace; and what it takes.

#![expect(
    unsafe_code,
    reason = "the standard library cannot ask a process to end, nor tie its life to ours"
)]

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    net::TcpStream,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

/// Where it serves /metrics if it is not told otherwise.
const METRICS: &str = "127.0.0.1:19733";
const PATIENCE: Duration = Duration::from_secs(20);
/// Ports of the lab's bridge.
const INTERFACES: f64 = 2.0;

/// A running agent.
pub struct Agent {
    child: Child,
}

/// Memory of the agent in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// All that is mapped and there.
    pub resident: u64,
    /// What no one else has mapped; without the eBPF maps, which are the kernel's memory and counted by themselves.
    pub private: u64,
}

impl Agent {
    /// Starts the program and waits until it observes both interfaces.
    pub fn start(program: &Path, log: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        command
            .arg("run")
            // A namespace of our own has ports of its own, but no files: the host's agent has the usual place.
            .arg("--socket")
            .arg(log.with_extension("socket"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(log).context("making a file for the agent's log")?);
        // SAFETY: prctl is async-signal-safe and the closure touches no memory of ours.
        unsafe { command.pre_exec(die_with_us) };
        let child = command.spawn().with_context(|| format!("starting {}", program.display()))?;
        let mut agent = Self { child };
        let begin = Instant::now();
        while !is_ready() {
            if let Some(status) = agent.child.try_wait()? {
                bail!(
                    "the agent ended, {status}:\n{}",
                    fs::read_to_string(log).unwrap_or_default()
                );
            }
            ensure!(begin.elapsed() < PATIENCE, "the agent did not attach in {PATIENCE:?}");
            thread::sleep(Duration::from_millis(50));
        }
        Ok(agent)
    }

    /// CPU time that it has taken so far (proc_pid_stat(5): clock ticks, which are 10 ms).
    pub fn cpu(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let ticks = ticks(&stat).context("reading the agent's CPU time")?;
        Ok(Duration::from_millis(ticks * 10))
    }

    /// Memory that it has now.
    pub fn memory(&self) -> Result<Memory> {
        let smaps = fs::read_to_string(format!("/proc/{}/smaps", self.child.id()))?;
        Ok(memory(&smaps))
    }

    /// Asks it to end, and waits.
    pub fn stop(mut self) -> Result<()> {
        let pid = i32::try_from(self.child.id())?;
        // SAFETY: two integers; the process is our child and has not been waited for.
        ensure!(unsafe { libc::kill(pid, libc::SIGTERM) } == 0, "the agent is gone");
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "the agent ended: {status}");
                return Ok(());
            }
            thread::sleep(Duration::from_millis(10));
        }
        bail!("the agent did not end in {PATIENCE:?}")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Errors mean that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Even `kill -9` of the bench must leave nobody running.
fn die_with_us() -> io::Result<()> {
    // SAFETY: two integers.
    if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn is_ready() -> bool {
    Metrics::scrape().is_ok_and(|metrics| {
        metrics.value("netwatch_attached_interfaces").is_some_and(|count| count >= INTERFACES)
    })
}

/// A scrape.
pub struct Metrics(String);

impl Metrics {
    /// What the agent of the calling thread's namespace says of itself.
    pub fn scrape() -> Result<Self> {
        let mut stream = TcpStream::connect(METRICS)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "the agent answers: {answer:.100}");
        Ok(Self(answer))
    }

    /// A series by its name with its labels, as it stands there.
    pub fn value(&self, series: &str) -> Option<f64> {
        self.0.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }
}

/// Fields 14 and 15, utime and stime. The second field is the name, in brackets, and may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

/// Adds up the mappings. Those of eBPF maps (`anon_inode:bpf-map`) count as resident only.
fn memory(smaps: &str) -> Memory {
    let mut memory = Memory { resident: 0, private: 0 };
    let mut is_map = false;
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        let Some(field) = first.strip_suffix(':') else {
            is_map = line.contains("bpf-map");
            continue;
        };
        let bytes = words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0) * 1024;
        match field {
            "Rss" => memory.resident += bytes,
            "Private_Clean" | "Private_Dirty" if !is_map => memory.private += bytes,
            _ => {}
        }
    }
    memory
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_understood() {
        let stat = "12 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 70 5 0 0 20";
        assert_eq!(ticks(stat), Some(75));
        assert_eq!(ticks("12 (a"), None);
        let smaps = "\
7f00-7f10 rw-p 00000000 00:00 0
Rss:                 100 kB
Private_Dirty:        60 kB
Private_Clean:         4 kB
7f20-7f30 rw-s 00000000 00:0e 10  anon_inode:bpf-map
Rss:                 900 kB
Private_Dirty:       900 kB";
        let Memory { resident, private } = memory(smaps);
        assert_eq!((resident, private), (1000 * 1024, 64 * 1024));
    }

    #[test]
    fn a_series_is_found_by_its_whole_name() {
        let metrics = Metrics("a_total 1\na{b=\"c\"} 2\na 3\n".into());
        assert_eq!(metrics.value("a"), Some(3.0));
        assert_eq!(metrics.value("a{b=\"c\"}"), Some(2.0));
        assert_eq!(metrics.value("b"), None);
    }
}
