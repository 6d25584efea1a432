//! `cargo xtask dist`: what is handed out: a static binary, a Debian package, a tarball, an image, the list of what they
//! are made of.
//!
//! Promises: nothing is downloaded but the crates of Cargo.lock; the same source at the same revision gives the same
//! archives; with `--check` the package is installed, upgraded and purged in a root of its own, and the image observes a real
//! engine.

mod archive;
mod binary;
mod check;
mod crates;
mod image;
mod objects;
mod package;
mod sbom;
mod tree;

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};

use self::{binary::Profile, tree::Tree};
use crate::{
    command::capture,
    command::command,
    report::{say, show},
    setup::{self, Purpose},
    workspace::{root, target},
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask dist                     everything, into target/dist
  cargo xtask dist --debug --check     a quick build, and all that can be checked of it; needs root, Debian and Docker")]
pub(crate) struct Args {
    /// Install nothing; exit with 3 where something is missing
    #[arg(long)]
    no_install: bool,
    /// Build without optimisation
    #[arg(long)]
    debug: bool,
    /// Check afterwards what was made
    #[arg(long)]
    check: bool,
    /// Where to put it
    #[arg(long, value_name = "DIRECTORY")]
    output: Option<PathBuf>,
}

/// What all parts have in common.
struct Release {
    /// The version that the archives are named by.
    version: String,
    /// By Debian's name, which is Docker's too.
    architecture: &'static str,
    /// The time of the revision, in seconds: the time of every file in an archive.
    time: u64,
    folder: PathBuf,
}

/// The program alone, as it is handed out.
pub(crate) fn program() -> Result<PathBuf> {
    binary::build(Profile::Dist)
}

/// Makes everything, and checks it if that is asked for.
pub(crate) fn dist(args: &Args) -> Result<()> {
    let purpose = if args.check { Purpose::Dist } else { Purpose::Build };
    setup::ensure(purpose, !args.no_install)?;
    let profile = if args.debug { Profile::Debug } else { Profile::Dist };
    let binary = binary::build(profile)?;
    let release = Release {
        version: VERSION.into(),
        architecture: binary::architecture()?,
        time: time_of_revision(),
        folder: args.output.clone().unwrap_or_else(|| target().join("dist")),
    };
    fs::create_dir_all(&release.folder)
        .with_context(|| format!("making {}", release.folder.display()))?;
    let crates = crates::linked()?;
    let tree =
        Tree::collect(&binary, &sbom::text(&release, &crates)?, &crates::licences(&crates)?)?;
    let made = [
        archive::tarball(&release, &tree)?,
        package::deb(&release, &tree)?,
        image::archive(&release, &binary)?,
    ];
    for file in &made {
        show(file.display());
    }
    if args.check {
        check::check(&release, &tree, !args.no_install)?;
        say("the package, the image and the kernel's objects are as they should be");
    }
    Ok(())
}

/// Zero outside of a checkout: still the same each time.
fn time_of_revision() -> u64 {
    let shown = command("git").args(["log", "-1", "--format=%ct"]).current_dir(root()).output();
    let text = shown.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// Runs a tool whose archives are to be the same each time.
fn archiver(release: &Release, program: &str, args: &[&str]) -> Result<()> {
    let mut command = command(program);
    capture(command.args(args).env("SOURCE_DATE_EPOCH", release.time.to_string())).map(drop)
}
