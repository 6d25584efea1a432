//! The image of the tests' containers: busybox, made here, because no registry is ever asked.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};

use crate::{
    command::{capture, command, find, step},
    docker::{Host, client},
    report::say,
    root::Root,
};

const IMAGE: &str = "netwatch-test:latest";

/// Imports the image, if the engine does not have it.
pub(crate) fn ensure(root: Root, host: &Host) -> Result<()> {
    if capture(docker(root, host)?.args(["image", "inspect", IMAGE])).is_ok() {
        return Ok(());
    }
    say(format_args!("importing the test image {IMAGE}"));
    let folder = tempfile::tempdir().context("making a folder for the image")?;
    let archive = folder.path().join("image.tar");
    fill(&folder.path().join("root")).context("filling the image")?;
    let tar = [
        "--owner=0",
        "--group=0",
        "-C",
        &path(&folder.path().join("root")),
        "-cf",
        &path(&archive),
        ".",
    ];
    step("tar", &tar)?;
    capture(docker(root, host)?.args(["import", &path(&archive), IMAGE])).map(drop)
}

/// Busybox under all its names.
fn fill(image: &Path) -> Result<()> {
    let bin = image.join("bin");
    fs::create_dir_all(&bin)?;
    let busybox = find("busybox")
        .context("busybox is not installed; `cargo xtask setup` installs busybox-static")?;
    fs::copy(&busybox, bin.join("busybox"))?;
    let names = capture(command(&busybox).arg("--list").stderr(Stdio::null()))?;
    for name in names.lines().filter(|name| *name != "busybox") {
        symlink("busybox", bin.join(name)).with_context(|| format!("linking {name}"))?;
    }
    Ok(())
}

fn docker(root: Root, host: &Host) -> Result<Command> {
    let program = client().context("there is no docker command")?;
    let mut command = root.command(&path(&program));
    command.args(["-H", &host.0]);
    Ok(command)
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
