//! The file in which an agent writes down what the next one has to know.

mod draft;

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs,
    io::{self, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use self::draft::Made;
pub(super) use self::draft::{Draft, draft};
use super::{accounts, ports};
use crate::{
    datapath::{Bookmark, Inheritance},
    flow,
    model::{Container, Instant, Tally},
};

/// Before everything else: what it is, and the version of what follows the checksum. No field has its name in there, so every
/// change of what is written, in whatever room, is another version.
const MAGIC: &[u8; 8] = b"netwatch";
const VERSION: u32 = 2;
const HEAD: usize = 16;
/// How the names of files end with what was noted since.
const NOTED: &str = "noted";

fn head(checksum: u32) -> Vec<u8> {
    [&MAGIC[..], &VERSION.to_le_bytes(), &checksum.to_le_bytes()].concat()
}

/// Everything that cannot be found out anew.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State<B = Bookmark, A = accounts::Kept, P = ports::Kept, F = flow::Kept> {
    /// The kernel side that it is about; see [`crate::datapath::Datapath::id`].
    pub(super) kernel: u64,
    /// How far its flows had been read.
    pub(super) bookmark: B,
    /// When, in the time of this host since it was started.
    pub(super) time: u64,
    pub(super) accounts: A,
    pub(super) ports: P,
    /// Containers that labels speak of; see [`super::labelled`].
    pub(super) labelled: Arc<HashMap<Arc<str>, Arc<Container>>>,
    pub(super) flows: F,
    /// Losses that the flow log has told of, by the number of the outcome.
    pub(super) told: Vec<(u32, Tally)>,
    /// Packets that were counted in flows and not written down.
    pub(super) forgotten: Tally,
    /// For how long in all nobody has read.
    pub(super) away: Duration,
}

impl State {
    /// When it was written.
    pub(super) fn time(&self) -> Instant {
        Instant(self.time)
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let word = |at: usize| {
            let bytes = bytes.get(at..at + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        };
        let (Some(version), Some(checksum), Some(body)) = (word(8), word(12), bytes.get(HEAD..))
        else {
            return Err("it is cut off".into());
        };
        if !bytes.starts_with(MAGIC) {
            return Err("it is not netwatch's".into());
        }
        if version != VERSION {
            return Err(format!("it is of version {version}, and this netwatch reads {VERSION}"));
        }
        if checksum != crc32fast::hash(body) {
            return Err("its checksum is wrong".into());
        }
        match postcard::take_from_bytes(body) {
            Ok((state, [])) => Ok(state),
            Ok(_) => Err("there is more in it than this netwatch knows".into()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl<B: Serialize, A: Serialize, P: Serialize, F: Serialize> State<B, A, P, F> {
    /// Makes what is written of it.
    pub(super) fn encode(&self, draft: Draft) -> postcard::Result<()> {
        postcard::serialize_with_flavor(self, draft)
    }
}

/// What an earlier agent has written.
#[derive(Debug)]
pub(super) enum Earlier {
    Nothing,
    Known(Box<State>),
    /// Something so long ago that cannot be used.
    Unusable(Duration),
}

impl Earlier {
    /// What the kernel side has to know of it.
    pub(super) fn inheritance(&self) -> Option<Inheritance> {
        match self {
            Self::Known(state) => {
                Some(Inheritance { id: state.kernel, bookmark: state.bookmark.clone() })
            }
            Self::Nothing | Self::Unusable(_) => None,
        }
    }
}

/// Where it is: one file for each network namespace, and beside it those of what was taken out of the kernel since it was written.
#[derive(Clone, Debug)]
pub(super) struct StateFile(PathBuf);

impl StateFile {
    /// The file of our network namespace, in this directory.
    pub(super) fn of_this_namespace(directory: &Path) -> io::Result<Self> {
        let inode = fs::metadata("/proc/thread-self/ns/net")?.ino();
        Ok(Self(directory.join(format!("net-{inode}.state"))))
    }

    pub(super) fn read(&self) -> Earlier {
        let result = match fs::read(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Earlier::Nothing,
            Err(error) => Err(error.to_string()),
            Ok(bytes) => State::decode(&bytes),
        };
        match result {
            Ok(state) => Earlier::Known(Box::new(state)),
            Err(why) => {
                tracing::warn!(file = %self.0.display(), "what an earlier netwatch has written down is not used: {why}");
                Earlier::Unusable(self.age())
            }
        }
    }

    /// How long ago it was written, as far as the clock on the wall knows.
    fn age(&self) -> Duration {
        let written = fs::metadata(&self.0).and_then(|metadata| metadata.modified());
        written.ok().and_then(|time| time.elapsed().ok()).unwrap_or_default()
    }

    /// Writes all of it or nothing: the file is made beside, and takes the place of the one before when `is_told` has come back.
    /// What was noted until that time is part of it.
    pub(super) fn write(
        &self,
        made: Made,
        time: Instant,
        is_told: impl FnOnce(),
    ) -> io::Result<()> {
        let beside = self.beside();
        let written = self.fill(&beside, made).and_then(|()| {
            is_told();
            fs::rename(&beside, &self.0)
        });
        if written.is_err() {
            // If it can be: a full disk has more need of the room.
            let _ = fs::remove_file(&beside);
        }
        written?;
        self.forget(|noted| noted < time)
    }

    /// Where the next one is made.
    fn beside(&self) -> PathBuf {
        self.0.with_extension("new")
    }

    fn fill(&self, path: &Path, made: Made) -> io::Result<()> {
        let mut file = self.make(path)?;
        let mut checksum = crc32fast::Hasher::new();
        file.write_all(&head(0))?;
        made.each(|bytes| {
            checksum.update(bytes);
            file.write_all(bytes)
        })?;
        file.rewind()?;
        file.write_all(&head(checksum.finalize()))
    }

    /// An empty file, for what is noted from that time on.
    pub(super) fn note(&self, time: Instant) -> io::Result<fs::File> {
        self.make(&self.0.with_extension(format!("{}.{NOTED}", time.0)))
    }

    fn make(&self, path: &Path) -> io::Result<fs::File> {
        if let Some(directory) = self.0.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
        }
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        options.open(path)
    }

    /// What was noted since what was written at that time, in its order.
    pub(super) fn noted(&self, since: Instant) -> io::Result<Vec<u8>> {
        let mut files = self.notes()?;
        files.retain(|(time, _)| *time >= since);
        files.sort_unstable();
        let mut all = Vec::new();
        for (_, path) in files {
            all.append(&mut fs::read(path)?);
        }
        Ok(all)
    }

    /// The files of what was noted, with the time from which on it was.
    fn notes(&self) -> io::Result<Vec<(Instant, PathBuf)>> {
        let (Some(directory), Some(name)) = (self.0.parent(), self.0.file_stem()) else {
            return Ok(Vec::new());
        };
        let mut notes = Vec::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            let (Some(NOTED), Some(stem)) =
                (path.extension().and_then(OsStr::to_str), path.file_stem().map(Path::new))
            else {
                continue;
            };
            let time = stem.extension().and_then(|time| time.to_str()?.parse().ok());
            if let (Some(time), true) = (time, stem.file_stem() == Some(name)) {
                notes.push((Instant(time), path));
            }
        }
        Ok(notes)
    }

    fn forget(&self, is_old: impl Fn(Instant) -> bool) -> io::Result<()> {
        let old = self.notes()?.into_iter().filter(|(time, _)| is_old(*time));
        old.map(|(_, path)| path).try_for_each(fs::remove_file)
    }

    /// Whether something is written.
    pub(super) fn is_there(&self) -> bool {
        self.0.exists()
    }

    /// Takes it away, with what belongs to it, and with what an agent that was killed had begun to write. Whether it was there.
    pub(super) fn remove(&self) -> io::Result<bool> {
        match self.forget(|_| true) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        is_removed(&self.beside())?;
        is_removed(&self.0)
    }
}

/// Whether there was such a file.
fn is_removed(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
