//! The guest program: an example of the netwatch crate, linked so that it needs nothing but a kernel.

use std::path::PathBuf;

use anyhow::Result;

use crate::{
    command::stream,
    report::say,
    workspace::{cargo, target},
};

const EXAMPLE: &str = "guest";

/// Builds it. Only the last step is another than that of an ordinary build, so all that it depends on is built once.
pub(super) fn build() -> Result<PathBuf> {
    say("building the guest program");
    let what = ["rustc", "--package", "netwatch", "--example", EXAMPLE];
    // The C library is linked statically; a virtual machine has no use for what a debugger would read.
    let how = ["--", "-C", "target-feature=+crt-static", "-C", "strip=symbols"];
    stream(cargo(&what).args(how))?;
    Ok(target().join("debug/examples").join(EXAMPLE))
}
