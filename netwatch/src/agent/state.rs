//! The file in which an agent writes down what the next one has to know.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{accounts, ports};
use crate::{
    datapath::{Bookmark, Inheritance},
    flow,
    model::{Container, Instant, Tally},
};

/// Before everything else: what it is, and the version of what follows the checksum.
const MAGIC: &[u8; 8] = b"netwatch";
const VERSION: u32 = 2;
const HEAD: usize = 16;

/// Everything that cannot be found out anew.
#[derive(Serialize, Deserialize)]
pub(super) struct State<A = accounts::Kept, P = ports::Kept, F = flow::Kept> {
    /// The kernel side that it is about; see [`crate::datapath::Datapath::id`].
    pub(super) kernel: u64,
    /// How far its flows had been read.
    pub(super) bookmark: Bookmark,
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

    /// What the kernel side has to know of it.
    pub(super) fn inheritance(&self) -> Inheritance {
        Inheritance { id: self.kernel, bookmark: self.bookmark.clone() }
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
        postcard::from_bytes(body).map_err(|error| error.to_string())
    }
}

impl<A: Serialize, P: Serialize, F: Serialize> State<A, P, F> {
    /// As it is written.
    pub(super) fn encode(&self) -> io::Result<Vec<u8>> {
        let mut bytes = [&MAGIC[..], &VERSION.to_le_bytes(), &[0; 4]].concat();
        bytes = postcard::to_extend(self, bytes).map_err(io::Error::other)?;
        let checksum = crc32fast::hash(bytes.get(HEAD..).unwrap_or_default()).to_le_bytes();
        bytes.splice(HEAD - checksum.len()..HEAD, checksum);
        Ok(bytes)
    }
}

/// Where it is: one file for each network namespace.
#[derive(Clone, Debug)]
pub(super) struct StateFile(PathBuf);

impl StateFile {
    /// The file of our network namespace, in this directory.
    pub(super) fn of_this_namespace(directory: &Path) -> io::Result<Self> {
        let inode = fs::metadata("/proc/thread-self/ns/net")?.ino();
        Ok(Self(directory.join(format!("net-{inode}.state"))))
    }

    /// What an earlier agent has written; nothing if it has not, or what it has cannot be used.
    pub(super) fn read(&self) -> Option<State> {
        let result = match fs::read(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => Err(error.to_string()),
            Ok(bytes) => State::decode(&bytes),
        };
        result
            .inspect_err(|why| {
                tracing::warn!(file = %self.0.display(), "what an earlier netwatch has written down is not used: {why}");
            })
            .ok()
    }

    /// Writes all of it or nothing: the file is made beside, and takes the place of the one before.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        if let Some(directory) = self.0.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
        }
        let beside = self.0.with_extension("new");
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        io::Write::write_all(&mut options.open(&beside)?, bytes)?;
        fs::rename(&beside, &self.0)
    }

    /// Whether something is written.
    pub(super) fn is_there(&self) -> bool {
        self.0.exists()
    }

    /// Takes it away. Whether it was there.
    pub(super) fn remove(&self) -> io::Result<bool> {
        match fs::remove_file(&self.0) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Edges, Limits, Tracker};

    const TOLD: (u32, Tally) = (9, Tally { packets: 1, segments: 2, bytes: 3 });
    const AWAY: Duration = Duration::from_millis(1_500);

    fn state(kernel: u64) -> Vec<u8> {
        let limits = Limits { idle: AWAY, active: AWAY, max_flows: 1 };
        let tracker = Tracker::new(limits, Edges::new(1));
        let state = State {
            kernel,
            bookmark: Bookmark::default(),
            time: 8,
            accounts: accounts::Kept::default(),
            ports: ports::Kept::default(),
            labelled: Arc::default(),
            flows: tracker.keep(),
            told: vec![TOLD],
            forgotten: Tally::ZERO,
            away: AWAY,
        };
        state.encode().unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::of_this_namespace(&folder.path().join("made")).unwrap();
        assert!(file.read().is_none());
        file.write(&state(7)).unwrap();
        file.write(&state(9)).unwrap();
        let read = file.read().unwrap();
        assert_eq!((read.kernel, read.time(), read.away), (9, Instant(8), AWAY));
        assert_eq!(read.told, [TOLD]);
        assert_eq!(fs::read_dir(folder.path().join("made")).unwrap().count(), 1);
        assert!(file.remove().unwrap() && !file.remove().unwrap());
    }

    #[test]
    fn whatever_is_wrong_with_it_is_said() {
        let bytes = state(7);
        let wrong = |bytes: &[u8]| State::decode(bytes).err().unwrap();
        for length in 0..HEAD {
            assert_eq!(wrong(&bytes[..length]), "it is cut off");
        }
        for length in HEAD..bytes.len() {
            assert_eq!(wrong(&bytes[..length]), "its checksum is wrong");
        }
        assert_eq!(wrong(b"something else altogether"), "it is not netwatch's");
        let mut newer = bytes;
        newer[8] = 99;
        assert_eq!(wrong(&newer), "it is of version 99, and this netwatch reads 2");
    }
}
