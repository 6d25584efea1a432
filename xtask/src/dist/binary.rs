//! The program, linked with everything: it runs on any distribution, and in an image that has nothing else.
//!
//! The C library is glibc's static one, which every Debian compiler has. Of its name services only files and DNS are in it,
//! and netwatch asks them for nothing but a host name in `--web.listen-address` or `--docker-host`.

use std::{env, fs, path::PathBuf};

use anyhow::{Context as _, Result, bail};
use object::{Architecture, Object as _, read::elf::ElfFile64};

use crate::{
    command::{step, stream},
    refused::Refused,
    workspace::{cargo, root, target},
};

/// How to build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    Debug,
    Dist,
}

impl Profile {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Debug => &[],
            Self::Dist => &["--profile", "dist"],
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Dist => "dist",
        }
    }
}

/// Debian's name of this architecture.
pub(super) fn architecture() -> Result<&'static str> {
    match env::consts::ARCH {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        other => Err(Refused::new(
            format!("there are no packages for {other}"),
            "run it on x86-64 or arm64",
        )
        .into()),
    }
}

fn ours() -> Architecture {
    if cfg!(target_arch = "aarch64") { Architecture::Aarch64 } else { Architecture::X86_64 }
}

/// Builds it, locked, and makes sure that it needs nothing beside itself. What only a debugger reads, most of it in a debug
/// build, is not handed out.
pub(super) fn build(profile: Profile) -> Result<PathBuf> {
    let triple = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", triple.to_uppercase().replace('-', "_"));
    let mut command = cargo(&["build", "--locked", "--package", "netwatch", "--target", &triple]);
    command.args(profile.arguments()).env(flags, self::flags(profile));
    stream(&mut command)?;
    let binary = target().join(triple).join(profile.folder()).join("netwatch");
    let bytes = fs::read(&binary).with_context(|| format!("reading {}", binary.display()))?;
    needs_nothing(&bytes, ours()).with_context(|| binary.display().to_string())?;
    let stripped = binary.with_file_name("netwatch-stripped");
    let (from, to) = (binary.to_string_lossy(), stripped.to_string_lossy());
    step("strip", &["-o", &to, &from])?;
    Ok(stripped)
}

/// Whoever builds elsewhere gets the same bytes, and nobody reads where this was.
fn flags(profile: Profile) -> String {
    let mut flags = String::from("-C target-feature=+crt-static");
    if profile == Profile::Dist {
        let home = env::var_os("CARGO_HOME").map(PathBuf::from);
        let home = home.or_else(|| Some(env::home_dir()?.join(".cargo"))).unwrap_or_default();
        for (from, to) in [(root(), "netwatch"), (&home, "cargo")] {
            flags += &[" --remap-path-prefix=", &from.to_string_lossy(), "=", to].concat();
        }
    }
    flags
}

/// Fails unless it is a static program for this architecture.
pub(super) fn needs_nothing(bytes: &[u8], architecture: Architecture) -> Result<()> {
    let file: ElfFile64 = ElfFile64::parse(bytes).context("it is no program")?;
    if file.architecture() != architecture {
        bail!("it is for {:?}, not for {architecture:?}", file.architecture());
    }
    let libraries = file.imports().context("its imports")?;
    if let Some(import) = libraries.first() {
        bail!("it is not static: it wants {}", String::from_utf8_lossy(import.library()));
    }
    let endian = file.endian();
    let has_loader = file.elf_program_headers().iter().any(|header| {
        object::read::elf::ProgramHeader::p_type(header, endian) == object::elf::PT_INTERP
    });
    if has_loader {
        bail!("it is not static: it names a loader");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_is_neither_static_nor_of_another_machine() {
        let ourselves = fs::read(env::current_exe().unwrap()).unwrap();
        let why = |architecture| needs_nothing(&ourselves, architecture).unwrap_err().to_string();
        assert!(why(ours()).starts_with("it is not static"), "{}", why(ours()));
        assert!(why(Architecture::Bpf).ends_with("not for Bpf"), "{}", why(Architecture::Bpf));
        assert!(needs_nothing(b"#!/bin/sh\n", ours()).is_err());
    }

    #[test]
    fn paths_of_the_builder_are_not_in_what_is_handed_out() {
        assert!(flags(Profile::Dist).contains(&root().display().to_string()));
        assert!(!flags(Profile::Debug).contains("remap"));
    }
}
