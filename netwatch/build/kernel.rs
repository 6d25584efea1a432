//! Compiles the kernel side with whichever toolchain can. The build scripts of netwatch and netwatch-bench share it.
#![expect(unsafe_code, reason = "aya-build reads RUSTC_BOOTSTRAP from this process")]

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use aya_build::{Package, Toolchain};

/// The packaged compiler that `cargo xtask setup` links into rustup under this name.
const PACKAGED: &str = "netwatch-ebpf";
const PACKAGE: &str = "netwatch-ebpf";

/// What compiles netwatch-ebpf.
pub struct Compiler {
    toolchain: String,
    source: PathBuf,
    out: PathBuf,
}

impl Compiler {
    /// Looks for a toolchain and the linker.
    pub fn find() -> Result<Self> {
        println!("cargo:rerun-if-env-changed=NETWATCH_EBPF_TOOLCHAIN");
        println!("cargo:rerun-if-changed=../netwatch-common/src");
        let toolchain = toolchain()?;
        if !runs(Command::new("bpf-linker").arg("--version")) {
            bail!(
                "cannot compile the eBPF programs: no bpf-linker in PATH; run `cargo xtask setup`"
            );
        }
        // Where this checkout is now, not where the build script was compiled: a `target` may have been copied.
        let here = variable("CARGO_MANIFEST_DIR")?;
        let source = Path::new(&here).join("../netwatch-ebpf");
        Ok(Self { toolchain, source, out: variable("OUT_DIR")?.into() })
    }

    /// Builds all objects that these features bring; answers with the folder that they are in.
    pub fn build(&self, features: &[&str]) -> Result<&Path> {
        let root_dir =
            self.source.to_str().context("the path of this checkout is not valid UTF-8")?;
        let package = Package { name: PACKAGE, root_dir, features, ..Package::default() };
        aya_build::build_ebpf([package], Toolchain::Custom(&self.toolchain))?;
        Ok(&self.out)
    }
}

fn variable(name: &str) -> Result<String> {
    env::var(name).with_context(|| format!("cargo did not set {name}"))
}

/// The first toolchain that has `core` for the kernel's target.
fn toolchain() -> Result<String> {
    if let Ok(name) = env::var("NETWATCH_EBPF_TOOLCHAIN") {
        return Ok(name);
    }
    if sysroot_has(PACKAGED, "lib/rustlib/bpfel-unknown-none") {
        // aya-ebpf wants one unstable feature; the value names the crate that may use it.
        // SAFETY: the build script has one thread here.
        unsafe { env::set_var("RUSTC_BOOTSTRAP", "aya_ebpf") };
        return Ok(PACKAGED.into());
    }
    if sysroot_has("nightly", "lib/rustlib/src/rust/library/core") {
        return Ok("nightly".into());
    }
    bail!(
        "cannot compile the eBPF programs: neither the packaged toolchain `{PACKAGED}` nor rustup's nightly with \
         rust-src is here; run `cargo xtask setup`"
    )
}

fn sysroot_has(toolchain: &str, path: &str) -> bool {
    let output =
        Command::new("rustup").args(["run", toolchain, "rustc", "--print", "sysroot"]).output();
    let Ok(output) = output else { return false };
    output.status.success()
        && Path::new(String::from_utf8_lossy(&output.stdout).trim()).join(path).exists()
}

fn runs(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}
