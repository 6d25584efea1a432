//! The emulator: the host's own, or Debian's package unpacked beside the kernels.
//!
//! It is not installed, because that is not always possible without a loss: where the host has qemu-utils from another
//! release, apt would have to remove them.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::folder;
use crate::{
    command::{capture, command, find},
    debian::apt::Apt,
    refused::Refused,
};

const PROGRAM: &str = "qemu-system-x86_64";
const PACKAGE: &str = "qemu-system-x86";
const UNPACKED: &str = "qemu";
/// Where packages have libraries and firmware.
const LIBRARIES: [&str; 2] = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
const FIRMWARE: [&str; 2] = ["usr/share/qemu", "usr/share/seabios"];

/// A qemu that starts.
pub(super) struct Emulator {
    program: PathBuf,
    /// The folder that it is unpacked in.
    unpacked: Option<PathBuf>,
}

impl Emulator {
    pub(super) fn find_or_fetch(may_fetch: bool) -> Result<Self> {
        if let Some(program) = find(PROGRAM) {
            return Self { program, unpacked: None }.checked();
        }
        let root = folder("")?.join(UNPACKED);
        if !root.exists() {
            if !may_fetch {
                let why = format!("there is no {PROGRAM} here, and none has been fetched");
                let remedy = format!("run it without --no-install, or install {PACKAGE}");
                return Err(Refused::new(why, remedy).into());
            }
            let apt = Apt::of_host(folder("apt-of-host")?)?;
            apt.update(may_fetch)?;
            let unpacked = tempfile::tempdir_in(folder("")?).context("a folder for qemu")?;
            apt.unpack_with_dependencies(PACKAGE, unpacked.path())?;
            std::fs::rename(unpacked.keep(), &root).context("keeping qemu")?;
        }
        let program = root.join("usr/bin").join(PROGRAM);
        Self { program, unpacked: Some(root.clone()) }.checked().with_context(|| {
            format!("{} is of no use any more; remove it, and it is fetched anew", root.display())
        })
    }

    fn checked(self) -> Result<Self> {
        capture(self.command().arg("--version")).map(|_| self)
    }

    /// qemu, with its libraries and firmware.
    pub(super) fn command(&self) -> Command {
        let mut command = command(&self.program);
        if let Some(root) = &self.unpacked {
            let libraries = LIBRARIES.map(|place| root.join(place));
            command
                .env("QEMU_MODULE_DIR", libraries[0].join("qemu"))
                .env("LD_LIBRARY_PATH", before(&libraries, env::var_os("LD_LIBRARY_PATH")));
            for place in FIRMWARE {
                command.arg("-L").arg(root.join(place));
            }
        }
        command
    }
}

/// A search path with these in front.
fn before(folders: &[impl AsRef<Path>], path: Option<OsString>) -> OsString {
    let rest = path.unwrap_or_default();
    let rest = env::split_paths(&rest).filter(|folder| !folder.as_os_str().is_empty());
    let all = folders.iter().map(|folder| folder.as_ref().to_path_buf()).chain(rest);
    // join_paths refuses a folder with a colon in its name, which no search path can hold.
    env::join_paths(all).unwrap_or_default()
}
