//! cargo-fuzz, which compiles and runs the fuzz targets.

use anyhow::Result;

use super::announced;
use crate::{
    command::{find, line},
    refused::Refused,
    workspace::cargo,
};

const NAME: &str = "cargo-fuzz";
const VERSION: &str = "0.13.2";

/// Finds it, or installs it. Any version will do that is here already.
pub(crate) fn ensure(install: bool) -> Result<()> {
    if find(NAME).is_some() {
        return Ok(());
    }
    let mut command = cargo(&["install", NAME, "--version", VERSION, "--locked"]);
    if !install {
        // By its name, not by the path that cargo told us of itself.
        let remedy = format!("cargo {}", line(&command).split_once(' ').unwrap_or_default().1);
        return Err(Refused::new(format!("missing: {NAME}"), remedy).into());
    }
    announced("building cargo-fuzz, which takes about 60 s", &mut command)
}
