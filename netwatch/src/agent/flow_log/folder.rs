//! The file of a log among those that gave way before, which stand beside it.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write},
    os::unix::fs::{OpenOptionsExt as _, fchown},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use flate2::{Compression, write::GzEncoder};
use jiff::Timestamp;

use super::{
    super::config::Rotation,
    plan::{self, Form, Rotated, Step},
};

/// How much is compressed between two looks at whether to stop.
const CHUNK: usize = 128 << 10;
/// What a file takes at least, so that very many small ones are not for free.
const BLOCK: u64 = 4 << 10;

/// Where a log is: not a link to it, so that what gives way stays on its disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Folder {
    directory: PathBuf,
    base: String,
}

/// What could not be done to a rotated file, or to the folder of all.
#[derive(Debug)]
pub(super) struct Untidy {
    pub(super) what: &'static str,
    pub(super) path: PathBuf,
    pub(super) error: io::Error,
}

impl Folder {
    /// Of a file that is there.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let path = fs::canonicalize(path)?;
        let parts = path.parent().zip(path.file_name().and_then(|name| name.to_str()));
        let (directory, base) =
            parts.ok_or_else(|| io::Error::other("its name is not text in UTF-8"))?;
        Ok(Self { directory: directory.to_owned(), base: base.to_owned() })
    }

    /// The file itself.
    pub(super) fn file(&self) -> PathBuf {
        self.directory.join(&self.base)
    }

    /// A rotated one.
    pub(super) fn path(&self, stamp: Timestamp, form: Form) -> PathBuf {
        self.directory.join(plan::name(&self.base, stamp, form))
    }

    /// The rotated ones, in no order.
    pub(super) fn list(&self) -> io::Result<Vec<Rotated>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some((stamp, form)) = name.to_str().and_then(|name| plan::parse(&self.base, name))
            else {
                continue;
            };
            // Not following links: a name that somebody else chose must not lead us to his file. One that is gone meanwhile
            // is none of ours any more.
            match entry.metadata() {
                Ok(metadata) if metadata.is_file() => {
                    let size = metadata.len().next_multiple_of(BLOCK);
                    found.push(Rotated { stamp, form, size });
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(found)
    }

    /// Compresses what is to be compressed and removes what is too much, until all is as it should be or `stop` says so.
    /// What fails first is the answer; it is tried again the next time.
    pub(super) fn tidy(&self, rotation: Rotation, stop: &AtomicBool) -> Result<(), Untidy> {
        let mut skip = BTreeSet::new();
        let mut result = Ok(());
        while !stop.load(Ordering::Relaxed) {
            let fail = |what, path: &Path| {
                let path = path.to_owned();
                move |error| Untidy { what, path, error }
            };
            let found = self.list().map_err(fail("listed", &self.directory))?;
            match plan::next_step(rotation, &found, &skip) {
                None => break,
                Some(Step::Remove(stamp, form)) => {
                    let path = self.path(stamp, form);
                    absent(fs::remove_file(&path)).map_err(fail("removed", &path))?;
                }
                Some(Step::Compress(stamp)) => {
                    let path = self.path(stamp, Form::Plain);
                    let compressed = self.compress(stamp, stop).map_err(fail("compressed", &path));
                    if compressed.is_err() {
                        skip.insert(stamp);
                        result = result.and(compressed);
                    }
                }
            }
        }
        result
    }

    /// Replaces a plain file by a compressed one. Wherever it is interrupted, one of them is there in full.
    fn compress(&self, stamp: Timestamp, stop: &AtomicBool) -> io::Result<()> {
        let [plain, done, part] =
            [Form::Plain, Form::Compressed, Form::Unfinished].map(|form| self.path(stamp, form));
        absent(fs::remove_file(&part))?;
        let written = write_compressed(&plain, &part, stop);
        if !matches!(written, Ok(true)) {
            absent(fs::remove_file(&part))?;
            return written.map(drop);
        }
        fs::rename(&part, &done)?;
        // On the disk before the other is not, also if the power fails.
        File::open(&self.directory)?.sync_all()?;
        absent(fs::remove_file(&plain))
    }
}

/// Whether it came to the end.
fn write_compressed(from: &Path, to: &Path, stop: &AtomicBool) -> io::Result<bool> {
    let mut input = File::open(from)?;
    let output = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    inherit(&input, &output)?;
    // With ten thousand connections a second, each two lines, the default level took a third of the agent's time.
    let mut encoder = GzEncoder::new(output, Compression::fast());
    let mut chunk = vec![0; CHUNK];
    loop {
        if stop.load(Ordering::Relaxed) {
            return Ok(false);
        }
        match input.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => encoder.write_all(&chunk[..length])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    encoder.finish()?.sync_all()?;
    Ok(true)
}

/// Who might read the one may read the other.
pub(super) fn inherit(from: &File, to: &File) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = from.metadata()?;
    // Only root may give files away, and to whom it could not does not matter then.
    let _ = fchown(to, Some(metadata.uid()), Some(metadata.gid()));
    to.set_permissions(metadata.permissions())
}

/// What is not there need not be removed.
fn absent(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
