//! Tests that run as one program, and what that says.

use std::{
    io::{self, BufRead as _, BufReader, PipeReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result, anyhow};
use serde_json::Value;

use crate::{
    command::{drain, line, wait},
    root::Root,
    summary::Summary,
    workspace::root,
};

/// One that can be run.
pub(crate) struct Suite {
    /// Its source, from the root of the workspace on.
    pub(crate) name: String,
    pub(crate) command: Command,
}

impl Suite {
    /// All that this command, a `cargo test --no-run`, builds.
    pub(crate) fn build(command: &mut Command, root: Root) -> Result<Vec<Self>> {
        command.args(["--message-format", "json-render-diagnostics"]).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("starting {}", line(command)))?;
        let messages = drain(child.stdout.take());
        let status = wait(&mut child)?;
        let messages = messages.join().map_err(|_| anyhow!("reading cargo's messages failed"))?;
        if !status.success() {
            return Err(anyhow!("{} failed: {status}", line(command)));
        }
        Ok(messages.lines().filter_map(Built::of_message).map(|built| built.suite(root)).collect())
    }

    /// Starts it; what it says comes out of one pipe.
    pub(crate) fn start(&mut self) -> Result<(Child, PipeReader)> {
        let (reader, writer) = io::pipe().context("a pipe for what tests say")?;
        let second = writer.try_clone().context("a pipe for what tests say")?;
        self.command.stdout(writer).stderr(second);
        let child = self.command.spawn().with_context(|| format!("starting {}", self.name))?;
        // Else the pipe would never end.
        self.command.stdout(Stdio::null()).stderr(Stdio::null());
        Ok((child, reader))
    }
}

/// A program of tests that cargo has built.
#[derive(Debug, PartialEq, Eq)]
struct Built {
    source: PathBuf,
    program: PathBuf,
    package: PathBuf,
}

impl Built {
    /// Cargo tells of whatever it has compiled.
    fn of_message(line: &str) -> Option<Self> {
        let message: Value = serde_json::from_str(line).ok()?;
        if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
            return None;
        }
        let path = |value: &Value| value.as_str().map(PathBuf::from);
        Some(Self {
            source: path(&message["target"]["src_path"])?,
            program: path(&message["executable"])?,
            package: path(&message["manifest_path"])?.parent()?.to_owned(),
        })
    }

    /// Run as cargo would.
    fn suite(self, root_rights: Root) -> Suite {
        let source = self.source.strip_prefix(root()).unwrap_or(&self.source);
        let mut command = root_rights.command(&self.program.to_string_lossy());
        command.current_dir(&self.package).env("CARGO_MANIFEST_DIR", &self.package);
        Suite { name: source.to_string_lossy().into_owned(), command }
    }
}

/// Where suites that run at the same time have their lines shown, each suite's in one piece.
pub(crate) struct Stage<S>(Mutex<S>);

impl<S: FnMut(&str)> Stage<S> {
    pub(crate) fn new(show: S) -> Self {
        Self(Mutex::new(show))
    }

    /// Shows a suite's lines as they come, or while another one is here, all when that has left.
    pub(crate) fn show(&self, name: &str, output: impl io::Read) -> Summary {
        let mut summary = Summary::default();
        let mut turn = None;
        let mut waiting = vec![format!("\n     Running {name}")];
        // Bytes, not text: a test may print anything.
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            summary.add(&line);
            waiting.push(line);
            turn = turn.or_else(|| self.0.try_lock().ok());
            if let Some(show) = &mut turn {
                waiting.drain(..).for_each(|line| show(&line));
            }
        }
        let turn = turn.map_or_else(|| self.0.lock(), Ok);
        let mut show = turn.unwrap_or_else(PoisonError::into_inner);
        for line in &waiting {
            show(line);
        }
        summary
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, thread};

    use super::*;

    #[test]
    fn a_program_of_tests_is_told_from_all_else() {
        let message = |test: bool, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/w/a/Cargo.toml","target":{{"kind":["test"],
                "name":"host","src_path":"/w/a/tests/host.rs"}},"profile":{{"test":{test}}},"executable":{executable}}}"#
            )
        };
        let built = Built {
            source: "/w/a/tests/host.rs".into(),
            program: "/w/target/host-1".into(),
            package: "/w/a".into(),
        };
        assert_eq!(Built::of_message(&message(true, "\"/w/target/host-1\"")), Some(built));
        for other in [
            &message(false, "\"/w/target/a\""),
            &message(true, "null"),
            r#"{"reason":"build-finished","success":true}"#,
            "not JSON",
        ] {
            assert_eq!(Built::of_message(other), None, "{other}");
        }
    }

    #[test]
    fn what_one_says_meanwhile_is_shown_when_the_other_has_left() {
        let shown = Mutex::new(Vec::new());
        let stage = Stage::new(|line: &str| shown.lock().unwrap().push(line.trim().to_owned()));
        let (first, mut says) = io::pipe().unwrap();
        let summary = thread::scope(|scope| {
            let first = scope.spawn(|| stage.show("first", first));
            says.write_all(b"one\n").unwrap();
            while shown.lock().unwrap().is_empty() {
                thread::yield_now();
            }
            let second = scope.spawn(|| stage.show("second", &b"test result: ok. 3 passed;"[..]));
            says.write_all(b"\xff\ntest result: FAILED. 1 passed; 2 failed;\n").unwrap();
            drop(says);
            [first, second].map(|suite| suite.join().unwrap())
        });
        assert_eq!(
            *shown.lock().unwrap(),
            [
                "Running first",
                "one",
                "\u{fffd}",
                "test result: FAILED. 1 passed; 2 failed;",
                "Running second",
                "test result: ok. 3 passed;"
            ]
        );
        assert_eq!(summary.map(|one| (one.passed, one.failed)), [(1, 2), (3, 0)]);
    }
}
