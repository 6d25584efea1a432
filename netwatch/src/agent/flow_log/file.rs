//! The file that lines are written to: cut where a line was written in part, made again where it is gone, and rotated.
//!
//! Promises: what is at its name ends with a whole line; whoever renames or removes it finds what was written until then.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use jiff::Timestamp;
use tracing::{info, warn};

use super::{
    super::config::Rotation,
    folder::{Folder, inherit},
    output::{Unwritten, create, open, whole_lines, write_some},
    plan::{self, Form},
    tidying::Tidying,
};

/// How often to look whether somebody has renamed it, and how soon a rotation that failed is tried again.
const LOOK: Duration = Duration::from_secs(1);
/// No line is longer; for the end of one that an agent left when it crashed.
const LONGEST_LINE: u64 = 1 << 20;

pub(super) struct LogFile {
    path: PathBuf,
    rotation: Rotation,
    current: Option<Current>,
    tidying: Option<Tidying>,
    rotations: u64,
    /// The last rotated one, which nobody may find while it is being compressed.
    last: Option<Timestamp>,
    /// When to look again.
    next_look: Instant,
    /// When to try to rotate again, after it has failed.
    next_try: Option<Instant>,
    /// Renamed, and a new one could not be opened.
    stray: bool,
}

/// The file as it is open now.
struct Current {
    file: File,
    folder: Folder,
    /// Device and number of the file.
    id: (u64, u64),
    born: SystemTime,
}

impl Current {
    fn open(path: &Path) -> io::Result<Self> {
        Self::of(path, open(path)?)
    }

    /// The one after `before`, which was at `file`, where `path` leads to. What somebody else has put there meanwhile, a link
    /// too, is not ours to give away: only its name is followed then, as ever.
    fn next(path: &Path, file: &Path, before: &File) -> io::Result<Self> {
        match create(file) {
            Ok(made) => {
                // Only its owner is told otherwise by those who set the old one's.
                let _ = inherit(before, &made);
                Self::of(file, made)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::open(path),
            Err(error) => Err(error),
        }
    }

    /// Alone: two that rotate the same file would take it from each other.
    fn of(path: &Path, file: File) -> io::Result<Self> {
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(io::Error::other("another process writes it"));
        }
        let metadata = file.metadata()?;
        mend(path, &file, metadata.len())?;
        Ok(Self {
            folder: Folder::of(path)?,
            id: (metadata.dev(), metadata.ino()),
            born: metadata.created().or_else(|_| metadata.modified())?,
            file,
        })
    }

    /// Whether its name still leads to it.
    fn is_at(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == self.id)
    }
}

impl LogFile {
    pub(super) fn new(path: &Path, file: File, rotation: Rotation) -> io::Result<Self> {
        let current = Current::of(path, file)?;
        let tidying = rotation.is_on().then(|| Tidying::start(rotation)).transpose()?;
        if let Some(tidying) = &tidying {
            // What an agent before this one could not finish.
            tidying.wake(current.folder.clone());
        }
        Ok(Self {
            path: path.to_owned(),
            rotation,
            current: Some(current),
            tidying,
            rotations: 0,
            last: None,
            next_look: Instant::now() + LOOK,
            next_try: None,
            stray: false,
        })
    }

    pub(super) fn rotations(&self) -> u64 {
        self.rotations
    }

    /// Writes whole lines, all or none of each.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result<(), Unwritten> {
        self.follow()?;
        self.rotate_if_due(lines.len() as u64)?;
        let Some(current) = &mut self.current else { return Err(closed().into()) };
        let begin = current.file.metadata()?.len();
        let (written, result) = write_some(&mut current.file, lines);
        let Err(error) = result else { return Ok(()) };
        let whole = whole_lines(&lines[..written]);
        if whole < written {
            // Where even that fails, it is done when the file is opened anew.
            let _ = current.file.set_len(begin + whole as u64);
        }
        // Opened anew the next time: whatever is wrong with this one, or its name, is over then or told again.
        self.current = None;
        Err(Unwritten { written: whole, error })
    }

    /// Opens it by its name again; where that is not possible, goes on with the one that is open, if it is still anywhere.
    pub(super) fn reopen(&mut self) {
        match Current::open(&self.path) {
            Ok(current) => {
                self.current = Some(current);
                self.stray = false;
            }
            // It is still the same one, and locked by ourselves.
            Err(_) if self.current.as_ref().is_some_and(|it| it.is_at(&self.path)) => {
                self.stray = false;
            }
            Err(error) => {
                if !self.stray {
                    warn!(%error, file = %self.path.display(), "the flow log cannot be opened again");
                }
                self.stray = true;
            }
        }
    }

    /// Makes sure that a file is open that somebody can find.
    fn follow(&mut self) -> io::Result<()> {
        let Some(current) = &self.current else {
            self.current = Some(Current::open(&self.path)?);
            self.stray = false;
            return Ok(());
        };
        let removed = current.file.metadata()?.nlink() == 0;
        if removed {
            self.current = None;
            self.current = Some(Current::open(&self.path)?);
            self.stray = false;
            info!(file = %self.path.display(), "the flow log was removed: a new one is begun");
        } else if Instant::now() >= self.next_look {
            self.next_look = Instant::now() + LOOK;
            if !current.is_at(&self.path) {
                self.reopen();
            }
        }
        Ok(())
    }

    /// Where it cannot be rotated it grows beyond its size, but not beyond the total.
    fn rotate_if_due(&mut self, more: u64) -> io::Result<()> {
        let Some(current) = &self.current else { return Ok(()) };
        let size = current.file.metadata()?.len();
        let age = current.born.elapsed().unwrap_or_default();
        if !plan::is_due(self.rotation, size, age, more) {
            return Ok(());
        }
        if self.next_try.is_none_or(|next| Instant::now() >= next) {
            match self.rotate() {
                Ok(()) => {
                    self.next_try = None;
                    return Ok(());
                }
                Err(error) => {
                    if self.next_try.is_none() {
                        warn!(%error, file = %self.path.display(), "the flow log cannot be rotated, and grows");
                    }
                    self.next_try = Some(Instant::now() + LOOK);
                }
            }
        }
        if self.rotation.max_total.is_some_and(|most| size.saturating_add(more) > most) {
            return Err(io::Error::other(
                "it cannot be rotated, and is as large as all of them may be",
            ));
        }
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let Some(current) = &self.current else { return Err(closed()) };
        let file = current.folder.file();
        if !current.is_at(&file) {
            self.reopen();
            return if self.stray {
                Err(io::Error::other("it is not at its name"))
            } else {
                Ok(())
            };
        }
        let found = current.folder.list()?.into_iter().map(|file| file.stamp);
        let stamp = plan::next_stamp(Timestamp::now(), found.chain(self.last));
        // Later than all names that there are, so nothing is in its way.
        let rotated = current.folder.path(stamp, Form::Plain);
        fs::rename(&file, &rotated)?;
        match Current::next(&self.path, &file, &current.file) {
            Ok(next) => {
                let folder = current.folder.clone();
                self.current = Some(next);
                self.rotations += 1;
                self.last = Some(stamp);
                if let Some(tidying) = &self.tidying {
                    tidying.wake(folder);
                }
                Ok(())
            }
            Err(error) => {
                // Nothing has changed then. If even that fails, whoever looks for its name next finds that it is gone.
                if fs::symlink_metadata(&file).is_err() {
                    fs::rename(&rotated, &file)?;
                }
                Err(error)
            }
        }
    }
}

fn closed() -> io::Error {
    io::Error::other("it is not open")
}

/// Cuts off what a crash has left of a line at the end. Where there is no whole line at all nobody can say whose text it is,
/// and it is left there as a line of its own.
fn mend(path: &Path, file: &File, size: u64) -> io::Result<()> {
    let tail = size.min(LONGEST_LINE);
    let Some(begin) = size.checked_sub(tail).filter(|_| tail > 0) else { return Ok(()) };
    // Who may write it may not always read it.
    let Ok(mut reader) = File::open(path) else { return Ok(()) };
    let mut bytes = vec![0; 1];
    reader.seek(SeekFrom::Start(size - 1))?;
    reader.read_exact(&mut bytes)?;
    if bytes == b"\n" {
        return Ok(());
    }
    bytes.clear();
    reader.seek(SeekFrom::Start(begin))?;
    reader.take(tail).read_to_end(&mut bytes)?;
    match whole_lines(&bytes) {
        0 => {
            let mut file = file;
            io::Write::write_all(&mut file, b"\n")
        }
        whole => {
            info!(file = %path.display(), bytes = bytes.len() - whole, "cut off a line that was written in part");
            file.set_len(begin + whole as u64)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn what_was_put_at_the_name_meanwhile_keeps_its_mode() {
        let folder = TempDir::new().unwrap();
        let [log, before, theirs] =
            ["log", "before", "theirs"].map(|name| folder.path().join(name));
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
        let before = File::create(before).unwrap();
        before.set_permissions(fs::Permissions::from_mode(0o666)).unwrap();
        assert!(Current::next(&log, &log, &before).is_ok());
        assert_eq!(mode(&log), 0o666);
        fs::remove_file(&log).unwrap();
        fs::write(&theirs, "").unwrap();
        fs::set_permissions(&theirs, fs::Permissions::from_mode(0o600)).unwrap();
        symlink(&theirs, &log).unwrap();
        assert!(Current::next(&log, &log, &before).is_ok());
        assert_eq!(mode(&theirs), 0o600);
    }
}
