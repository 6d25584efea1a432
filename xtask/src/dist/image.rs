//! The image: the program and the folders that it writes to, as `docker load` takes it. No engine is needed to make it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde_json::json;

use super::{
    Release,
    archive::tar,
    tree::{File, put},
};
use crate::command::step;

const LAYER: &str = "layer.tar";
/// Where a volume or nothing may be.
const FOLDERS: [&str; 4] = ["etc/netwatch", "run/netwatch", "var/lib/netwatch", "var/log/netwatch"];

/// Makes the archive.
pub(super) fn archive(release: &Release, binary: &Path) -> Result<PathBuf> {
    let folder = tempfile::tempdir().context("making a folder for the image")?;
    let (layer, image) = (folder.path().join("layer"), folder.path().join("image"));
    let content = fs::read(binary).with_context(|| format!("reading {}", binary.display()))?;
    put(&layer, &File { path: "netwatch".into(), mode: 0o755, content })?;
    for name in FOLDERS {
        fs::create_dir_all(layer.join(name)).with_context(|| format!("making {name}"))?;
    }
    fs::create_dir_all(&image).context("making a folder for the image")?;
    tar(release, &layer, ".", &image.join(LAYER))?;
    let config = json!({
        "architecture": release.architecture,
        "os": "linux",
        "config": {
            "Entrypoint": ["/netwatch"],
            "Cmd": ["run"],
            "WorkingDir": "/",
            "Labels": {
                "org.opencontainers.image.title": "netwatch",
                "org.opencontainers.image.version": release.version,
                "org.opencontainers.image.licenses": env!("CARGO_PKG_LICENSE"),
            },
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", sum(&image.join(LAYER))?)] },
        "history": [{ "created_by": "cargo xtask dist" }],
    });
    let text = serde_json::to_vec(&config).context("the image's configuration")?;
    let unnamed = image.join("config");
    fs::write(&unnamed, text).context("writing the image's configuration")?;
    let name = format!("{}.json", sum(&unnamed)?);
    fs::rename(&unnamed, image.join(&name)).context("naming the image's configuration")?;
    let tags = [format!("netwatch:{}", release.version), "netwatch:latest".into()];
    let manifest = json!([{ "Config": name, "RepoTags": tags, "Layers": [LAYER] }]);
    fs::write(image.join("manifest.json"), manifest.to_string()).context("writing the manifest")?;
    let archive = place(release);
    tar(release, &image, ".", &archive)?;
    Ok(archive)
}

/// Where it is put.
pub(super) fn place(release: &Release) -> PathBuf {
    let name = format!("netwatch-{}-image-{}.tar", release.version, release.architecture);
    release.folder.join(name)
}

/// Its SHA-256.
fn sum(file: &Path) -> Result<String> {
    let line = step("sha256sum", &[&file.to_string_lossy()])?;
    Ok(line.split_whitespace().next().unwrap_or_default().to_owned())
}
