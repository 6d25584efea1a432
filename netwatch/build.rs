//! Compiles the kernel side, and finds out which revision this is.

#[path = "build/kernel.rs"]
mod kernel;

use std::{env, process::Command};

use anyhow::Result;
use kernel::Compiler;

const BINARY: &str = "netwatch-ebpf";

fn main() -> Result<()> {
    println!("cargo:rerun-if-env-changed=NETWATCH_REVISION");
    revision();
    let compiler = Compiler::find()?;
    compiler.build(BINARY, "", "netwatch-ebpf")?;
    compiler.build(BINARY, "log", "netwatch-ebpf.log")
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
