//! apt, beside the host's: by its ordinary client, with lists, cache and state in a folder of ours.
//!
//! The host's configuration is read (a proxy stays in force) and never written. Everything is verified by apt as usual:
//! the index by the archive's key, each package by the index.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result};

use crate::{
    command::{capture, command, find},
    refused::Refused,
    report::say,
};

/// An index younger than this is not fetched again.
const FRESH: Duration = Duration::from_hours(24);
const STAMP: &str = "updated";

/// One set of sources.
pub(crate) struct Apt {
    folder: PathBuf,
    options: Vec<String>,
}

/// Whether this host has what fetches and unpacks.
pub(crate) fn require() -> Result<()> {
    for program in ["apt-get", "dpkg-deb", "xz"] {
        if find(program).is_none() {
            return Err(Refused::new(
                format!(
                    "there is no {program} here, and what is wanted comes from Debian's packages"
                ),
                "run it on Debian or Ubuntu",
            )
            .into());
        }
    }
    Ok(())
}

impl Apt {
    /// The host's own sources, and what is installed here: its packages fit this host.
    pub(crate) fn of_host(folder: PathBuf) -> Result<Self> {
        Self::new(folder, Vec::new())
    }

    /// Sources of our own (sources.list(5), deb822 style) for an architecture, as if nothing were installed.
    pub(crate) fn with_sources(folder: PathBuf, sources: &str, architecture: &str) -> Result<Self> {
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let path = |name: &str| folder.join(name);
        let (list, status) = (path("ours.sources"), path("status"));
        // Other sources, other lists.
        if fs::read_to_string(&list).ok().as_deref() != Some(sources) {
            let _ = fs::remove_file(path(STAMP));
            fs::write(&list, sources).with_context(|| list.display().to_string())?;
        }
        fs::write(&status, "").with_context(|| status.display().to_string())?;
        let options = vec![
            format!("Dir::State={}", folder.display()),
            format!("Dir::State::status={}", status.display()),
            format!("Dir::Etc::sourcelist={}", list.display()),
            "Dir::Etc::sourceparts=/dev/null".into(),
            format!("APT::Architecture={architecture}"),
            format!("APT::Architectures={architecture}"),
            "APT::Update::Error-Mode=any".into(),
        ];
        Self::new(folder, options)
    }

    fn new(folder: PathBuf, mut options: Vec<String>) -> Result<Self> {
        for name in ["lists/partial", "archives/partial"] {
            fs::create_dir_all(folder.join(name))?;
        }
        options.extend([
            format!("Dir::State::lists={}", folder.join("lists").display()),
            format!("Dir::Cache={}", folder.display()),
            format!("Dir::Cache::archives={}", folder.join("archives").display()),
            "Acquire::Languages=none".into(),
            "Acquire::Retries=3".into(),
            // The user that apt fetches as has no way into a home folder.
            "APT::Sandbox::User=root".into(),
            "Debug::NoLocking=true".into(),
        ]);
        Ok(Self { folder, options })
    }

    /// Fetches the index, unless it is fresh. Answers whether there is one now.
    pub(crate) fn update(&self, may_fetch: bool) -> Result<bool> {
        let stamp = self.folder.join(STAMP);
        let age = fs::metadata(&stamp)
            .and_then(|file| file.modified())
            .ok()
            .and_then(|time| SystemTime::now().duration_since(time).ok());
        if age.is_some_and(|age| age < FRESH || !may_fetch) {
            return Ok(true);
        }
        if !may_fetch {
            return Ok(false);
        }
        say(format_args!("reading package lists, kept in {}", self.folder.display()));
        capture(self.apt("apt-get").arg("update"))?;
        fs::write(&stamp, "").with_context(|| stamp.display().to_string())?;
        Ok(true)
    }

    /// The names of all packages that begin so.
    pub(crate) fn names(&self, prefix: &str) -> Result<Vec<String>> {
        let text = capture(self.apt("apt-cache").args(["pkgnames", prefix]))?;
        Ok(text.lines().map(String::from).collect())
    }

    /// Fetches these packages and unpacks them into a folder.
    pub(crate) fn unpack(&self, packages: &[String], into: &Path) -> Result<()> {
        let debs = tempfile::tempdir_in(&self.folder).context("a folder for packages")?;
        capture(self.apt("apt-get").arg("download").args(packages).current_dir(debs.path()))?;
        unpack_all(debs.path(), into, &packages.join(" "))
    }

    /// The same with all that they depend on and that is not installed here.
    pub(crate) fn unpack_with_dependencies(&self, package: &str, into: &Path) -> Result<()> {
        let archives = self.folder.join("archives");
        let how = ["install", "--yes", "--download-only", "--no-install-recommends", package];
        capture(self.apt("apt-get").args(how))?;
        unpack_all(&archives, into, &format!("{package} and what it needs"))?;
        fs::remove_dir_all(&archives).with_context(|| archives.display().to_string())
    }

    fn apt(&self, program: &str) -> Command {
        let mut command = command(program);
        command.arg("-qq").env("LC_ALL", "C");
        for option in &self.options {
            command.args(["-o", option]);
        }
        command
    }
}

fn unpack_all(debs: &Path, into: &Path, what: &str) -> Result<()> {
    let mut bytes = 0;
    let mut all = Vec::new();
    for deb in fs::read_dir(debs).with_context(|| debs.display().to_string())? {
        let deb = deb?;
        if deb.path().extension().is_some_and(|extension| extension == "deb") {
            bytes += deb.metadata()?.len();
            all.push(deb.path());
        }
    }
    say(format_args!("fetched {what}, {} MiB; unpacking", bytes.div_ceil(1 << 20)));
    for deb in all {
        capture(command("dpkg-deb").arg("--extract").args([&deb, into]))?;
    }
    Ok(())
}
