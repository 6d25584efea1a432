//! Where agents leave what the next one goes on with.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use tempfile::TempDir;

use super::{
    agent::{Agent, lasting, lasting_by},
    user,
};

/// Below the kernel's own mount; each test has its own, since others may run at the same time.
const PINS: &str = "/sys/fs/bpf/netwatch-test";

/// A directory for pins, and one for the file.
pub struct Lasting {
    pub pins: String,
    pub state: TempDir,
}

impl Lasting {
    pub fn new() -> Self {
        let state = user::folder();
        let name = state.path().file_name().and_then(|name| name.to_str()).expect("a plain name");
        let pins = format!("{PINS}{}", name.replace('.', "-"));
        Self { pins, state }
    }

    fn places(&self) -> [&str; 4] {
        let state = self.state.path().to_str().expect("a plain path");
        ["--pin-dir", &self.pins, "--state-dir", state]
    }

    pub fn start(&self, more: &[&str]) -> Agent {
        Agent::start_by(&mut lasting(), &[&self.places(), more].concat())
    }

    /// The same by another program.
    pub fn start_by(&self, program: &str, more: &[&str]) -> Agent {
        Agent::start_by(&mut lasting_by(program), &[&self.places(), more].concat())
    }

    /// `netwatch stop`.
    pub fn stop(&self, arguments: &[&str]) -> Output {
        let mut command = lasting();
        command.arg("stop").args(self.places()).args(arguments).output().expect("netwatch runs")
    }

    /// What an agent has written for the next one, beside its notes.
    pub fn file(&self) -> PathBuf {
        self.ending("state").pop().expect("a file")
    }

    /// What it has noted since.
    pub fn notes(&self) -> Vec<PathBuf> {
        self.ending("noted")
    }

    fn ending(&self, end: &str) -> Vec<PathBuf> {
        let all = fs::read_dir(self.state.path()).expect("a folder");
        let paths = all.map(|entry| entry.expect("an entry").path());
        paths.filter(|path| path.extension().is_some_and(|it| it == end)).collect()
    }

    /// That the last agent has left nothing there.
    pub fn expect_nothing(self) {
        assert!(!Path::new(&self.pins).exists());
        assert_eq!(fs::read_dir(self.state.path()).expect("a folder").count(), 0);
    }
}
