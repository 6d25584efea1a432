//! The Debian package, by Debian's own dpkg-deb.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{
    Release, archiver,
    tree::{File, Tree, put},
};
use crate::{
    command::{capture, command, find},
    refused::Refused,
    workspace::root,
};

const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];
const CONFIGURATION: &str = "etc/";

/// Makes it.
pub(super) fn deb(release: &Release, tree: &Tree) -> Result<PathBuf> {
    if find("dpkg-deb").is_none() {
        let why = "the Debian package is made by dpkg-deb, which is not here";
        return Err(Refused::new(why, "install the package dpkg of your distribution").into());
    }
    let folder = tempfile::tempdir().context("making a folder for the package")?;
    let inside = folder.path().join("netwatch");
    tree.write(&inside)?;
    let copyright = copyright()?;
    let place = "usr/share/doc/netwatch/copyright".into();
    put(&inside, &File { path: place, mode: 0o644, content: copyright.into_bytes() })?;
    // After everything else: it has the size and the sums.
    for (name, mode, content) in control(release, tree, &inside)? {
        put(&inside, &File { path: format!("DEBIAN/{name}"), mode, content })?;
    }
    let name = format!("netwatch_{}_{}.deb", release.version, release.architecture);
    let package = release.folder.join(name);
    let (from, to) = (inside.to_string_lossy(), package.to_string_lossy());
    archiver(release, "dpkg-deb", &["--root-owner-group", "-Zxz", "--build", &from, &to])?;
    Ok(package)
}

fn debian(name: &str) -> Result<String> {
    let path = root().join("packaging/debian").join(name);
    fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
}

/// The files of the control archive.
fn control(release: &Release, tree: &Tree, inside: &Path) -> Result<Vec<(String, u32, Vec<u8>)>> {
    let bytes: usize = tree.files.iter().map(|file| file.content.len()).sum();
    let control = debian("control")?
        .replace("@VERSION@", &release.version)
        .replace("@ARCHITECTURE@", release.architecture)
        .replace("@SIZE@", &bytes.div_ceil(1024).to_string());
    let own: BTreeMap<&str, &File> = tree
        .files
        .iter()
        .filter(|file| file.path.starts_with(CONFIGURATION))
        .map(|file| (file.path.as_str(), file))
        .collect();
    let list: String = own.keys().flat_map(|path| ["/", path, "\n"]).collect();
    let mut files = vec![
        ("control".into(), 0o644, control.into_bytes()),
        ("conffiles".into(), 0o644, list.into_bytes()),
    ];
    for script in SCRIPTS {
        files.push((script.into(), 0o755, debian(script)?.into_bytes()));
    }
    let mut sums = command("sh");
    sums.args(["-c", "find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum"]);
    files.push(("md5sums".into(), 0o644, capture(sums.current_dir(inside))?.into_bytes()));
    Ok(files)
}

/// With the text of the licence that Debian does not keep by itself.
fn copyright() -> Result<String> {
    let text = fs::read_to_string(root().join("LICENSE-MIT")).context("reading LICENSE-MIT")?;
    let line = |line: &str| if line.is_empty() { " .".to_owned() } else { format!(" {line}") };
    let text: Vec<String> = text.trim().lines().map(line).collect();
    Ok(debian("copyright")?.replace("@MIT@", &text.join("\n")))
}
