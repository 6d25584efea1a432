//! A Rust compiler that has `core` for the kernel's target: Debian's packaged one, linked into rustup, or rustup's nightly
//! with the sources of `core`. The order is that of netwatch/build.rs, so that both speak of the same compiler.

use std::{
    env, fmt,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow, bail};

use super::{announced, apt};
use crate::command::{capture, command};

/// The name under which the packaged compiler is known to rustup.
pub(super) const LINKED: &str = "netwatch-ebpf";
/// The packaged compiler; the first gives the row in the table its state.
pub(super) const PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf"];
pub(super) const NIGHTLY_REMEDY: &str =
    "rustup toolchain install nightly --profile minimal --component rust-src";

const OVERRIDE: &str = "NETWATCH_EBPF_TOOLCHAIN";
const PACKAGED_CORE: &str = "lib/rustlib/bpfel-unknown-none";
const SOURCES_OF_CORE: &str = "lib/rustlib/src/rust/library/core";
/// What aya-ebpf needs.
const OLDEST: (u32, u32) = (1, 90);

/// A compiler that can compile the kernel side.
#[derive(Debug)]
pub(super) struct Toolchain {
    pub(super) name: String,
    pub(super) version: Version,
    /// Where its `core` is.
    pub(super) place: PathBuf,
}

/// What `rustc -vV` tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) release: String,
    /// The major version of its LLVM, which the linker's must match.
    pub(super) llvm: u32,
}

/// Whether Debian's packages are on this host, linked or not.
pub(super) enum Packaged {
    Yes,
    TooOld(String),
    No,
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, LLVM {})", self.version.release, self.name, self.version.llvm)
    }
}

pub(super) fn is_overridden() -> bool {
    env::var_os(OVERRIDE).is_some()
}

/// The compiler that build.rs will use.
pub(super) fn find() -> Result<Toolchain> {
    if let Ok(name) = env::var(OVERRIDE) {
        return probe(&name, &[PACKAGED_CORE, SOURCES_OF_CORE]).with_context(|| {
            format!("{OVERRIDE} names `{name}`, which cannot be used: unset it, or name one that has `core` for BPF")
        });
    }
    probe(LINKED, &[PACKAGED_CORE]).or_else(|_| probe("nightly", &[SOURCES_OF_CORE])).map_err(
        |_| match packaged() {
            Packaged::TooOld(release) => too_old(&release),
            Packaged::Yes => anyhow!("not linked into rustup"),
            Packaged::No => anyhow!(""),
        },
    )
}

/// Makes the packaged compiler known to rustup.
pub(super) fn link() -> Result<Toolchain> {
    match packaged() {
        Packaged::Yes => {}
        Packaged::TooOld(release) => return Err(too_old(&release)),
        Packaged::No => return find(),
    }
    announced(
        "linking the packaged compiler",
        command("rustup").args(["toolchain", "link", LINKED, "/usr"]),
    )?;
    find()
}

/// The packaged compiler's name in rustup, and the version of its package.
pub(crate) fn linked() -> Result<(&'static str, String)> {
    probe(LINKED, &[PACKAGED_CORE])?;
    let package = PACKAGES[0];
    let version = apt::version(package).with_context(|| format!("{package} is not installed"))?;
    Ok((LINKED, version))
}

pub(super) fn packaged() -> Packaged {
    if !Path::new("/usr").join(PACKAGED_CORE).exists() {
        return Packaged::No;
    }
    match capture(command("/usr/bin/rustc").arg("-vV")).and_then(|text| parse(&text)) {
        Ok(version) if is_new_enough(&version.release) => Packaged::Yes,
        Ok(version) => Packaged::TooOld(version.release),
        Err(_) => Packaged::No,
    }
}

fn too_old(release: &str) -> anyhow::Error {
    anyhow!(
        "rustc-web is {release}, older than {}.{} (Debian 12 has a newer one in bookworm-security, which has to be among \
         apt's sources)",
        OLDEST.0,
        OLDEST.1
    )
}

fn probe(name: &str, any_of: &[&str]) -> Result<Toolchain> {
    let rustc = |args: &[&str]| {
        // A look must not download a compiler.
        let mut command = command("rustup");
        capture(
            command
                .args(["run", name, "rustc"])
                .args(args)
                .env("RUSTUP_AUTO_INSTALL", "0")
                .env("RUST_BACKTRACE", "0"),
        )
    };
    let sysroot = rustc(&["--print", "sysroot"])?;
    let place = any_of
        .iter()
        .map(|folder| Path::new(sysroot.trim()).join(folder))
        .find(|folder| folder.exists());
    let place = place.with_context(|| format!("toolchain {name} has no `core` for BPF"))?;
    let version = parse(&rustc(&["-vV"])?)?;
    if !is_new_enough(&version.release) {
        bail!("toolchain {name} is {}, older than {}.{}", version.release, OLDEST.0, OLDEST.1);
    }
    Ok(Toolchain { name: name.into(), version, place })
}

fn parse(text: &str) -> Result<Version> {
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let release = value("release:").context("rustc does not tell its release")?.to_string();
    let llvm = value("LLVM version:").and_then(|version| version.split('.').next()?.parse().ok());
    Ok(Version { release, llvm: llvm.context("rustc does not tell its LLVM version")? })
}

fn is_new_enough(release: &str) -> bool {
    let mut parts = release.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= OLDEST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_tells_its_release_and_llvm() {
        let text = "\
rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)
binary: rustc
host: x86_64-unknown-linux-gnu
release: 1.96.0
LLVM version: 22.1.8
";
        assert_eq!(parse(text).unwrap(), Version { release: "1.96.0".into(), llvm: 22 });
        assert!(parse("release: 1.96.0").is_err());
        assert!(parse("").is_err());
    }

    #[test]
    fn releases_are_compared_as_numbers() {
        assert!(is_new_enough("1.90.0"));
        assert!(is_new_enough("1.100.0-nightly"));
        assert!(is_new_enough("2.0.0"));
        assert!(!is_new_enough("1.85.0"));
        assert!(!is_new_enough("1.9.0"));
        assert!(!is_new_enough("rubbish"));
    }
}
