//! bpf-linker, built by cargo against the LLVM of the compiler whose bitcode it is to link.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::{announced, apt::Apt, table::Row, toolchain::Toolchain};
use crate::{
    command::{capture, command, line},
    workspace::cargo,
};

const NAME: &str = "bpf-linker";
const VERSION: &str = "0.13.0";

/// A linker that starts: one whose libLLVM has gone does not.
pub(super) struct Linker {
    place: PathBuf,
    version: String,
}

pub(super) fn find() -> Option<Linker> {
    let place = find_program()?;
    let text = capture(command(&place).arg("--version")).ok()?;
    Some(Linker { place, version: text.split_whitespace().nth(1)?.into() })
}

fn find_program() -> Option<PathBuf> {
    crate::command::find(NAME)
}

/// Builds it, with the LLVM packages that this takes.
pub(super) fn install(apt: &mut Apt, toolchain: &Toolchain) -> Result<Linker> {
    let llvm = toolchain.version.llvm;
    if !prefix(llvm).join("bin/llvm-config").exists() && apt.is_usable() {
        let packages = packages(llvm);
        apt.install(&packages.each_ref().map(String::as_str))?;
    }
    announced("building bpf-linker, which takes about 90 s", &mut build(llvm))?;
    apt.note(NAME);
    find().context("bpf-linker was installed, but does not start")
}

fn build(llvm: u32) -> std::process::Command {
    let feature = format!("llvm-{llvm}");
    let mut command = cargo(&[
        "install",
        NAME,
        "--version",
        VERSION,
        "--locked",
        "--force",
        "--no-default-features",
    ]);
    command.args(["--features", &feature]);
    if prefix(llvm).exists() || find_llvm_config().is_none() {
        command.env("LLVM_PREFIX", prefix(llvm));
    }
    command
}

/// Debian keeps each LLVM in a folder of its own.
fn prefix(llvm: u32) -> PathBuf {
    Path::new("/usr/lib").join(format!("llvm-{llvm}"))
}

fn packages(llvm: u32) -> [String; 2] {
    [format!("llvm-{llvm}-dev"), format!("libpolly-{llvm}-dev")]
}

fn find_llvm_config() -> Option<PathBuf> {
    crate::command::find("llvm-config")
}

/// Its line in the table.
pub(super) fn row(linker: Option<Linker>, toolchain: Option<&Toolchain>, apt: &Apt) -> Row {
    if let Some(linker) = linker {
        return Row::found(NAME, linker.version, &linker.place).of(NAME);
    }
    let why = match find_program() {
        Some(place) => format!("({} does not start)", place.display()),
        None => String::new(),
    };
    // Without a compiler the LLVM to match is not known yet; 22 is that of Debian's.
    let llvm = toolchain.map_or(22, |toolchain| toolchain.version.llvm);
    let first = if apt.is_debian() && !prefix(llvm).exists() {
        format!("{}; ", apt.line(&packages(llvm).each_ref().map(String::as_str)))
    } else {
        String::new()
    };
    // By its name, not by the path that cargo told us of itself.
    let build = line(&build(llvm));
    let build =
        std::env::var("CARGO").map_or(build.clone(), |cargo| build.replace(&cargo, "cargo"));
    Row::missing_because(NAME, &why, &format!("{first}{build}"))
}
