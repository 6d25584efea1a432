//! Child processes: never with our standard input, always with an error that names the command, its exit and its last
//! words.

use std::{
    ffi::OsStr,
    io::{self, ErrorKind, Read, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};

use crate::cleanup;

const LAST_LINES: usize = 15;

/// A command of ours: standard input closed.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    command
}

/// A command for one quick step, out of reach of Ctrl-C and of signals to us: it is done or not done, never half, and a
/// clean-up after a signal can rely on it. Not for anything that may want the terminal (sudo).
pub(crate) fn step(program: &str, args: &[&str]) -> Result<String> {
    let mut command = command(program);
    command.args(args).process_group(0);
    collect(&mut command, |child| child.wait().context("waiting for a child process"))
        .map(|(out, _)| out)
}

/// The same for a program that reads its work from standard input.
pub(crate) fn step_with_input(program: &Path, args: &[&str], input: &str) -> Result<()> {
    let mut command = Command::new(program);
    command.args(args).process_group(0).stdin(Stdio::piped());
    collect(&mut command, |child| {
        // Dropped at the end of this line, which tells the child that this was all.
        let written =
            child.stdin.take().map_or(Ok(()), |mut pipe| pipe.write_all(input.as_bytes()));
        let status = child.wait().context("waiting for a child process")?;
        // One that fails closes the pipe early; then its exit and its words are the better error.
        if status.success() {
            written.context("writing to a child process")?;
        }
        Ok(status)
    })
    .map(drop)
}

/// Runs to the end and returns standard output; the output of a failed command becomes the error.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    collect(command, wait).map(|(out, _)| out)
}

/// The same for a program that tells its results on standard error.
pub(crate) fn capture_errors(command: &mut Command) -> Result<String> {
    collect(command, wait).map(|(_, err)| err)
}

/// What came on standard output and on standard error.
fn collect(
    command: &mut Command,
    wait: impl FnOnce(&mut Child) -> Result<ExitStatus>,
) -> Result<(String, String)> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| not_started(command, e))?;
    let (out, err) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let status = wait(&mut child)?;
    let (out, err) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
    if status.success() {
        return Ok((out, err));
    }
    let said = tail(&format!("{out}{err}"));
    Err(anyhow!(
        "{} failed: {status}{}{said}",
        line(command),
        if said.is_empty() { "" } else { "\n" }
    ))
}

/// Runs to the end with its output on ours.
pub(crate) fn stream(command: &mut Command) -> Result<()> {
    let mut child = command.spawn().map_err(|e| not_started(command, e))?;
    let status = wait(&mut child)?;
    if status.success() { Ok(()) } else { Err(anyhow!("{} failed: {status}", line(command))) }
}

/// Waits for a child, and passes on to it a signal that was meant for this process alone.
pub(crate) fn wait(child: &mut Child) -> Result<ExitStatus> {
    let mut pause = Duration::from_millis(1);
    let mut passed_on = false;
    loop {
        if let Some(status) = child.try_wait().context("waiting for a child process")? {
            return Ok(status);
        }
        if !passed_on && let Some(signal) = cleanup::to_forward() {
            passed_on = true;
            // It may have gone in this moment, and a child under sudo belongs to root; both are no reason to fail.
            let _ = cleanup::signal(child.id(), signal);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Has the kernel ask the child to end when we have gone, in whatever way. `We` is the thread that starts it.
#[expect(unsafe_code, reason = "std has no way to set the parent-death signal")]
pub(crate) fn dies_with_us(command: &mut Command) {
    // SAFETY: prctl is async-signal-safe and the closure touches no memory shared with the parent.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
}

/// Where a program is: in PATH, in cargo's folder, or in the folders that only root has in PATH.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path)
        .chain(cargo_bin())
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Where `cargo install` puts things, in PATH or not.
pub(crate) fn cargo_bin() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")))?;
    Some(home.join("bin"))
}

/// A command as one would type it.
pub(crate) fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let environment = command.get_envs().filter_map(|(name, value)| {
        let value = value.filter(|_| name != "PATH")?;
        Some(format!("{}={}", name.to_string_lossy(), value.to_string_lossy()))
    });
    environment
        .chain(words.map(|word| word.to_string_lossy().into_owned()))
        .collect::<Vec<_>>()
        .join(" ")
}

/// The last lines of some output, indented.
pub(crate) fn tail(output: &str) -> String {
    let lines: Vec<_> = output.lines().filter(|line| !line.trim().is_empty()).collect();
    let from = lines.len().saturating_sub(LAST_LINES);
    lines[from..].iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

/// Reads a pipe to its end beside us, so that neither pipe can fill up and stop the child.
pub(crate) fn drain(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read until an error is still worth showing.
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn not_started(command: &Command, error: std::io::Error) -> anyhow::Error {
    let what = if error.kind() == ErrorKind::NotFound {
        "is not installed"
    } else {
        "could not be started"
    };
    anyhow::Error::new(error).context(format!(
        "{} {what} ({})",
        command.get_program().to_string_lossy(),
        line(command)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_is_named_with_its_exit_and_last_words() {
        let error = capture(command("sh").args(["-c", "echo one; echo two >&2; exit 7"]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("sh -c"), "{error}");
        assert!(error.contains("exit status: 7"), "{error}");
        assert!(error.contains("    two"), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = capture(&mut command("netwatch-no-such-program")).unwrap_err().to_string();
        assert!(error.contains("netwatch-no-such-program is not installed"), "{error}");
    }

    #[test]
    fn the_tail_keeps_the_end_and_drops_blank_lines() {
        let text = (0..40).map(|n| n.to_string()).collect::<Vec<_>>().join("\n\n");
        let tail = tail(&text);
        assert_eq!(tail.lines().count(), LAST_LINES);
        assert!(tail.ends_with("    39"));
    }
}
