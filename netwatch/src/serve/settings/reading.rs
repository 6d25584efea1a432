//! One reading of `--web.config.file` and of what it names: what was read, from which state of each file, and what was
//! wrong.

use std::{
    fmt::Display,
    fs::{self, Metadata},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use ring::digest::{Context, SHA256};

use super::file::Spanned;

/// A file that changed within so many seconds may change again within the same tick of the kernel's clock, and look the same.
const SETTLED_AFTER: u64 = 2;

/// What is wrong, and in which line if that is known.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) line: Option<u64>,
    pub(super) cause: String,
    /// A file could not be read; what stands in it may be right.
    pub(super) unreadable: bool,
}

impl Problem {
    pub(super) fn new(cause: impl Into<String>) -> Self {
        Self { line: None, cause: cause.into(), unreadable: false }
    }

    pub(super) fn at<T>(spanned: &Spanned<T>, cause: impl Into<String>) -> Self {
        Self { line: Some(spanned.referenced.line()), ..Self::new(cause) }
    }
}

/// How a file stood; `None`: it could not be looked at.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

/// The files of a reading.
pub(super) struct Reading {
    /// Paths in the file are relative to its folder.
    folder: PathBuf,
    seen: Vec<(PathBuf, Stamp)>,
    settled: bool,
    content: Context,
}

impl Reading {
    /// Of a file, and what it will name.
    pub(super) fn new(path: &Path) -> Self {
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        Self { folder, seen: Vec::new(), settled: true, content: Context::new(&SHA256) }
    }

    /// The files that were asked for.
    pub(super) fn files(self) -> Vec<PathBuf> {
        self.seen.into_iter().map(|(path, _)| path).collect()
    }

    /// The content of a file, and where it was.
    pub(super) fn read(&mut self, name: impl AsRef<Path>) -> Result<(PathBuf, Vec<u8>), Problem> {
        let path = self.folder.join(name);
        // Before its content: what changes in between is seen at the next look.
        let metadata = fs::metadata(&path).ok();
        self.settled &=
            metadata.as_ref().is_none_or(|metadata| is_settled(metadata.ctime(), now()));
        self.seen.push((path.clone(), metadata.as_ref().map(stamp)));
        let content = fs::read(&path).map_err(|error| {
            let cause = format!("cannot read {}: {error}", path.display());
            Problem { unreadable: true, ..Problem::new(cause) }
        })?;
        self.content.update(&(content.len() as u64).to_be_bytes());
        self.content.update(&content);
        Ok((path, content))
    }

    /// Whether all that was read is the same.
    pub(super) fn found_the_same(&self, other: &Self) -> bool {
        let paths = |of: &Self| of.seen.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
        paths(self) == paths(other)
            && self.content.clone().finish().as_ref() == other.content.clone().finish().as_ref()
    }

    /// Whether another reading would find the same.
    pub(super) fn is_current(&self) -> bool {
        let now = |path| fs::metadata(path).ok().as_ref().map(stamp);
        self.settled && self.seen.iter().all(|(path, stamp)| now(path) == *stamp)
    }
}

fn stamp(metadata: &Metadata) -> (u64, u64, u64, i64, i64) {
    (metadata.dev(), metadata.ino(), metadata.size(), metadata.ctime(), metadata.ctime_nsec())
}

/// Seconds of the wall clock.
fn now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

/// A change in the future is one from before the clock was set back.
fn is_settled(changed: i64, now: i64) -> bool {
    now.abs_diff(changed) > SETTLED_AFTER
}

/// A line for people.
pub(super) fn one_line(text: impl Display) -> String {
    text.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_settles_whether_its_change_was_or_is_to_come() {
        for (changed, settled) in
            [(997, true), (998, false), (1_000, false), (1_002, false), (1_003, true), (-1, true)]
        {
            assert_eq!(is_settled(changed, 1_000), settled, "{changed}");
        }
    }
}
