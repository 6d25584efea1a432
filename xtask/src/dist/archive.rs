//! Archives that are the same whenever they are made of the same files.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use super::{
    Release, archiver,
    tree::{File, Tree, put},
};
use crate::workspace::root;

/// The tarball: the files in the folders that they are installed in, and how to do that.
pub(super) fn tarball(release: &Release, tree: &Tree) -> Result<PathBuf> {
    let name = format!("netwatch-{}-linux-{}", release.version, release.architecture);
    let folder = tempfile::tempdir().context("making a folder for the tarball")?;
    let inside = folder.path().join(&name);
    tree.write(&inside)?;
    for file in ["LICENSE-MIT", "LICENSE-APACHE", "CHANGELOG.md", "docs/install.md"] {
        let content = fs::read(root().join(file)).with_context(|| format!("reading {file}"))?;
        let path = file.trim_start_matches("docs/").into();
        put(&inside, &File { path, mode: 0o644, content })?;
    }
    let archive = release.folder.join(format!("{name}.tar.gz"));
    let plain = folder.path().join("plain.tar");
    tar(release, folder.path(), &name, &plain)?;
    let bytes = gzip(&fs::read(&plain)?)?;
    fs::write(&archive, bytes).with_context(|| format!("writing {}", archive.display()))?;
    Ok(archive)
}

/// A tar of something in a folder, by name order, of nobody in particular, of the time of the revision.
pub(super) fn tar(release: &Release, folder: &Path, what: &str, archive: &Path) -> Result<()> {
    let time = format!("--mtime=@{}", release.time);
    let (folder, archive) = (folder.to_string_lossy(), archive.to_string_lossy());
    let how = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu", &time];
    archiver(release, "tar", &[&how[..], &["-C", &folder, "-cf", &archive, what]].concat())
}

/// Compressed without a name and a time.
pub(super) fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut child = Command::new("gzip")
        .args(["-9n"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting gzip")?;
    let mut pipe = child.stdin.take().context("gzip has no input")?;
    let bytes = bytes.to_vec();
    // Beside us: it writes while it reads.
    let writer = std::thread::spawn(move || pipe.write_all(&bytes));
    let output = child.wait_with_output().context("waiting for gzip")?;
    let written = writer.join();
    if !output.status.success() || !matches!(written, Ok(Ok(()))) {
        bail!("gzip failed: {}", output.status);
    }
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_make_the_same_archive() {
        let release =
            Release { version: "1".into(), architecture: "amd64", time: 77, folder: "/".into() };
        let make = || {
            let folder = tempfile::tempdir().unwrap();
            for name in ["b", "a"] {
                let path = format!("x/{name}");
                put(folder.path(), &File { path, mode: 0o644, content: b"text".to_vec() }).unwrap();
            }
            let archive = folder.path().join("archive");
            tar(&release, folder.path(), "x", &archive).unwrap();
            gzip(&fs::read(archive).unwrap()).unwrap()
        };
        assert_eq!(make(), make());
    }
}
