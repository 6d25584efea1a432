//! The files that are installed, by the path that each has then.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::archive::gzip;
use crate::{
    command::{capture, command},
    workspace::root,
};

/// Everything but what is Debian's alone.
pub(super) struct Tree {
    pub(super) files: Vec<File>,
}

/// One of them.
pub(super) struct File {
    /// Below the root.
    pub(super) path: String,
    pub(super) mode: u32,
    pub(super) content: Vec<u8>,
}

const DOCUMENTS: &str = "usr/share/doc/netwatch";

impl Tree {
    /// The binary, what it says of itself, and what is in packaging/.
    pub(super) fn collect(binary: &Path, sbom: &str, licences: &str) -> Result<Self> {
        let mut tree = Self { files: Vec::new() };
        let read =
            |path: &str| fs::read(root().join(path)).with_context(|| format!("reading {path}"));
        let program = fs::read(binary).with_context(|| format!("reading {}", binary.display()))?;
        tree.add("usr/bin/netwatch", 0o755, program);
        for (path, source) in [
            ("etc/netwatch/netwatch.toml", "packaging/netwatch.toml"),
            ("usr/lib/systemd/system/netwatch.service", "packaging/systemd/netwatch.service"),
            ("usr/lib/sysusers.d/netwatch.conf", "packaging/systemd/netwatch.conf"),
            (&format!("{DOCUMENTS}/compose.yaml"), "packaging/docker/compose.yaml"),
            (&format!("{DOCUMENTS}/prometheus/rules.yml"), "packaging/prometheus/rules.yml"),
            (&format!("{DOCUMENTS}/prometheus/alerts.yml"), "packaging/prometheus/alerts.yml"),
            (&format!("{DOCUMENTS}/prometheus/scrape.yml"), "packaging/prometheus/scrape.yml"),
        ] {
            tree.add(path, 0o644, read(source)?);
        }
        for (shell, path) in [
            ("bash", "usr/share/bash-completion/completions/netwatch"),
            ("zsh", "usr/share/zsh/vendor-completions/_netwatch"),
            ("fish", "usr/share/fish/vendor_completions.d/netwatch.fish"),
        ] {
            let text = capture(command(binary).args(["completions", shell]))?;
            tree.add(path, 0o644, text.into_bytes());
        }
        for (name, page) in manuals(binary)? {
            tree.add(&format!("usr/share/man/man1/{name}.gz"), 0o644, gzip(&page)?);
        }
        tree.add(&format!("{DOCUMENTS}/sbom.cdx.json"), 0o644, sbom.as_bytes().to_vec());
        let licences = gzip(licences.as_bytes())?;
        tree.add(&format!("{DOCUMENTS}/third-party-licenses.txt.gz"), 0o644, licences);
        let news = gzip(&read("CHANGELOG.md")?)?;
        tree.add(&format!("{DOCUMENTS}/changelog.gz"), 0o644, news);
        Ok(tree)
    }

    pub(super) fn add(&mut self, path: &str, mode: u32, content: Vec<u8>) {
        self.files.push(File { path: path.into(), mode, content });
    }

    /// Writes all of it below a folder.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        self.files.iter().try_for_each(|file| put(folder, file))
    }
}

/// Writes a file with its mode, and makes the folders above it.
pub(super) fn put(folder: &Path, file: &File) -> Result<()> {
    let path = folder.join(&file.path);
    let above = path.parent().unwrap_or(folder);
    fs::create_dir_all(above).with_context(|| format!("making {}", above.display()))?;
    for above in above.ancestors().take_while(|above| above.starts_with(folder)) {
        mode(above, 0o755)?;
    }
    fs::write(&path, &file.content).with_context(|| format!("writing {}", path.display()))?;
    mode(&path, file.mode)
}

fn mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("setting the mode of {}", path.display()))
}

/// The manual pages with their names.
fn manuals(binary: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let folder = tempfile::tempdir().context("making a folder for the manual pages")?;
    let place = folder.path().to_string_lossy().into_owned();
    capture(command(binary).args(["man", "--output", &place]))?;
    let mut pages: Vec<PathBuf> =
        fs::read_dir(folder.path())?.flatten().map(|entry| entry.path()).collect();
    pages.sort();
    pages
        .iter()
        .map(|page| {
            let name = page.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Ok((name, fs::read(page).with_context(|| format!("reading {}", page.display()))?))
        })
        .collect()
}
