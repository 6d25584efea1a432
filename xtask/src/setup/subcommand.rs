//! Subcommands of cargo that come as crates.

use anyhow::Result;

use super::announced;
use crate::{
    command::{find, line},
    refused::Refused,
    workspace::cargo,
};

/// One of them. Any version will do that is here already.
pub(crate) struct Subcommand {
    name: &'static str,
    version: &'static str,
    /// How long it takes to build it.
    takes: &'static str,
}

/// Compiles and runs the fuzz targets.
pub(crate) const FUZZ: Subcommand =
    Subcommand { name: "cargo-fuzz", version: "0.13.2", takes: "60 s" };
/// Holds the crates against deny.toml.
pub(crate) const DENY: Subcommand =
    Subcommand { name: "cargo-deny", version: "0.20.2", takes: "four minutes" };

impl Subcommand {
    /// Finds it, or installs it.
    pub(crate) fn ensure(&self, install: bool) -> Result<()> {
        let Self { name, version, takes } = self;
        if find(name).is_some() {
            return Ok(());
        }
        let mut command = cargo(&["install", name, "--version", version, "--locked"]);
        if !install {
            // By its name, not by the path that cargo told us of itself.
            let remedy = format!("cargo {}", line(&command).split_once(' ').unwrap_or_default().1);
            return Err(Refused::new(format!("missing: {name}"), remedy).into());
        }
        announced(&format!("building {name}, which takes about {takes}"), &mut command)
    }
}
