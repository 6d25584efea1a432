//! What a guest finds in its memory when its kernel starts: the guest program and the modules, in a cpio archive
//! (Documentation/driver-api/early-userspace/buffer-format.rst of the kernel).

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::Path,
};

use anyhow::{Context as _, Result};
use cpio::newc::{Builder, trailer};
use tempfile::NamedTempFile;

use super::{folder, packages::Kernel};

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
const LINK: u32 = 0o120_777;

/// Where the guest looks for its modules.
const MODULES: &str = "modules";

/// Writes it into a file that is gone when dropped.
pub(super) fn write(guest: &Path, kernel: &Kernel) -> Result<NamedTempFile> {
    let mut file = tempfile::Builder::new()
        .prefix("netwatch-guest-")
        .suffix(".cpio")
        .tempfile_in(folder("")?)
        .context("a file for the guest's memory")?;
    let mut archive = Archive { out: BufWriter::new(file.as_file_mut()), inode: 0 };
    archive.add("init", PROGRAM, &fs::read(guest).with_context(|| guest.display().to_string())?)?;
    // The kernel calls `init`; the guest calls itself by this name to be the agent.
    archive.add("netwatch", LINK, b"init")?;
    archive.add(MODULES, DIRECTORY, &[])?;
    for module in kernel.modules()? {
        let name = module.file_name().unwrap_or_default().to_string_lossy();
        archive.add(&format!("{MODULES}/{name}"), FILE, &fs::read(&module)?)?;
    }
    archive.end()?;
    Ok(file)
}

struct Archive<W: Write> {
    out: W,
    inode: u32,
}

impl<W: Write> Archive<W> {
    fn add(&mut self, name: &str, mode: u32, content: &[u8]) -> Result<()> {
        // Two names of one inode would be links to one file.
        self.inode += 1;
        let entry = Builder::new(name).ino(self.inode).mode(mode);
        let size = u32::try_from(content.len()).context("a file too large for the archive")?;
        let mut writer = entry.write(&mut self.out, size);
        writer.write_all(content)?;
        writer.finish()?;
        Ok(())
    }

    fn end(self) -> io::Result<()> {
        trailer(self.out)?.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn the_archive_holds_what_was_put_in() {
        let mut bytes = Vec::new();
        let mut archive = Archive { out: &mut bytes, inode: 0 };
        archive.add("init", PROGRAM, b"\x7fELF").unwrap();
        archive.add("modules", DIRECTORY, &[]).unwrap();
        archive.end().unwrap();
        let mut reader = cpio::newc::Reader::new(&bytes[..]).unwrap();
        let entry = reader.entry();
        assert_eq!((entry.name(), entry.mode(), entry.ino()), ("init", PROGRAM, 1));
        let mut content = Vec::new();
        reader.read_to_end(&mut content).unwrap();
        assert_eq!(content, b"\x7fELF");
        let next = cpio::newc::Reader::new(reader.finish().unwrap()).unwrap();
        assert_eq!((next.entry().name(), next.entry().mode()), ("modules", DIRECTORY));
        let last = cpio::newc::Reader::new(next.finish().unwrap()).unwrap();
        assert!(last.entry().is_trailer());
    }
}
