//! Compiles the kernel side with whichever toolchain can.
#![expect(unsafe_code, reason = "aya-build reads RUSTC_BOOTSTRAP from this process")]

use std::{env, path::Path, process::Command};

use anyhow::{Context as _, Result, bail};
use aya_build::{Package, Toolchain};

/// The packaged compiler that `cargo xtask setup` links into rustup under this name.
const PACKAGED: &str = "netwatch-ebpf";
const PACKAGE: &str = "netwatch-ebpf";

fn main() -> Result<()> {
    println!("cargo:rerun-if-env-changed=NETWATCH_EBPF_TOOLCHAIN");
    println!("cargo:rerun-if-env-changed=NETWATCH_REVISION");
    println!("cargo:rerun-if-changed=../netwatch-common/src");
    revision();
    let toolchain = toolchain()?;
    if !runs(Command::new("bpf-linker").arg("--version")) {
        bail!("cannot compile the eBPF programs: no bpf-linker in PATH; run `cargo xtask setup`");
    }
    // Where this checkout is now, not where the build script was compiled: a `target` may have been copied.
    let here = env::var("CARGO_MANIFEST_DIR").context("cargo did not set CARGO_MANIFEST_DIR")?;
    let ebpf = Path::new(&here).join("../netwatch-ebpf");
    let ebpf = ebpf.to_str().context("the path of this checkout is not valid UTF-8")?;
    // Cargo names the result after the binary, so the one with messages is built first and set aside.
    build(ebpf, &toolchain, &["log"])?;
    let out = env::var("OUT_DIR").context("cargo did not set OUT_DIR")?;
    let object = Path::new(&out).join(PACKAGE);
    std::fs::rename(&object, object.with_extension("log"))
        .context("setting the object with messages aside")?;
    build(ebpf, &toolchain, &[])
}

fn build(root_dir: &str, toolchain: &str, features: &[&str]) -> Result<()> {
    let package = Package { name: PACKAGE, root_dir, features, ..Package::default() };
    aya_build::build_ebpf([package], Toolchain::Custom(toolchain))
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

/// The git revision for `--version`, where there is a checkout.
fn revision() {
    if env::var_os("NETWATCH_REVISION").is_some() {
        return;
    }
    println!("cargo:rerun-if-changed=../.git/HEAD");
    let output = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    if let Ok(output) = output
        && output.status.success()
    {
        println!(
            "cargo:rustc-env=NETWATCH_REVISION={}",
            String::from_utf8_lossy(&output.stdout).trim()
        );
    }
}
