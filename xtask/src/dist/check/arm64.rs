//! The program for arm64: compiled and linked here, by Debian's packaged compiler with the standard library of the same version
//! from Debian's arm64 packages, which is unpacked and not installed. Nothing runs it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use object::Architecture;

use super::super::binary::needs_nothing;
use crate::{
    command::{command, stream},
    debian::{apt::Apt, mirror::Mirror},
    refused::Refused,
    report::say,
    setup::toolchain,
    workspace::{root, target},
};

const TARGET: &str = "aarch64-unknown-linux-gnu";
const LINKER: &str = "aarch64-linux-gnu-gcc";
const LIBRARY: &str = "libstd-rust-web-dev";

/// Builds it without optimisation, and looks at what it became.
pub(super) fn check(may_fetch: bool) -> Result<()> {
    if cfg!(target_arch = "aarch64") {
        return Ok(()); // It is what was made.
    }
    let (toolchain, version) = toolchain::linked()?;
    let folder = target().join("arm64");
    let sysroot = library(&folder, &version, may_fetch)?;
    say("building the program for arm64");
    let mut command = command("rustup");
    command.args(["run", toolchain, "cargo", "build", "--locked", "--package", "netwatch"]);
    command.args(["--target", TARGET, "--target-dir"]).arg(&folder).current_dir(root());
    // The compiler that runs us is another one.
    command.env_remove("RUSTC").env_remove("RUSTFLAGS");
    command.env("CARGO_PROFILE_DEV_DEBUG", "none").env("CARGO_INCREMENTAL", "0");
    let variable = |what: &str| format!("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_{what}");
    let flags = format!("-C target-feature=+crt-static --sysroot {}", sysroot.display());
    stream(command.env(variable("LINKER"), LINKER).env(variable("RUSTFLAGS"), flags))?;
    let binary = folder.join(TARGET).join("debug/netwatch");
    let bytes = fs::read(&binary).with_context(|| format!("reading {}", binary.display()))?;
    needs_nothing(&bytes, Architecture::Aarch64).with_context(|| binary.display().to_string())
}

/// The standard library, from here or from the archive.
fn library(folder: &Path, version: &str, may_fetch: bool) -> Result<PathBuf> {
    let kept = folder.join(format!("{LIBRARY}-{version}"));
    let sysroot = kept.join("usr");
    if sysroot.exists() {
        return Ok(sysroot);
    }
    let suite = codename(&fs::read_to_string("/etc/os-release").context("/etc/os-release")?)?;
    let mirror = Mirror::find(None, "check it on a Debian")?;
    let sources = mirror.security(&format!("{suite}-security")) + &mirror.suites(&suite);
    let apt = Apt::with_sources(folder.join("apt"), &sources, "arm64")?;
    if !apt.update(may_fetch)? {
        let why = "the standard library for arm64 has never been fetched";
        return Err(Refused::new(why, "run it without --no-install").into());
    }
    let unpacked = tempfile::tempdir_in(folder).context("a folder for a library")?;
    // Of another version the compiler would take nothing.
    apt.unpack(&[format!("{LIBRARY}={version}")], unpacked.path()).with_context(|| {
        format!("{LIBRARY} {version}, which rustc-web has here; a newer one may have replaced both")
    })?;
    // Whole or not at all.
    fs::rename(unpacked.keep(), &kept).context("keeping a library")?;
    Ok(sysroot)
}

/// What this release of Debian is called in its archive.
fn codename(os_release: &str) -> Result<String> {
    let line = os_release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    Ok(line.context("/etc/os-release names no release of Debian")?.trim_matches('"').into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_known_by_its_name() {
        assert_eq!(codename("ID=debian\nVERSION_CODENAME=bookworm\n").unwrap(), "bookworm");
        assert!(codename("ID=gentoo\n").is_err());
    }
}
