//! `cargo xtask kernels`: boots Debian's kernels in virtual machines and runs the real datapath and the real agent on each.
//!
//! Promises: nothing is installed on the host and no root is needed. Kernels, and qemu where there is none, are fetched
//! by apt with sources, lists and state of their own and unpacked below `target/kernels`, where the next run finds them.
//! A guest has passed when its own last line says so **and** qemu ended well; the console of one that has not is shown.
//! A run of all kernels writes the table of docs/kernels.md.

mod boot;
mod guest;
mod initramfs;
mod packages;
mod qemu;
mod release;
mod run;
mod table;

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::{Context as _, Result};

use self::{packages::Shelf, qemu::Emulator, release::Series};
use crate::{
    cleanup,
    debian::apt,
    refused::Refused,
    report::{say, show},
    summary::Summary,
    workspace::target,
};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask kernels                   all of them; writes the table of docs/kernels.md
  cargo xtask kernels 5.10 newest       these two

Series: 5.10 6.1 6.12 6.18 7.2 7.3, any other that the mirror has, or `newest`.

The last line is `kernels: N passed, M failed`.")]
pub(crate) struct Args {
    /// Fetch nothing; exit with 3 where something is missing
    #[arg(long)]
    no_install: bool,
    /// Where Debian's archive is, if apt here does not know: URI/dists and URI-security/dists have to be there
    #[arg(long, value_name = "URI")]
    mirror: Option<String>,
    /// Which kernels
    series: Vec<Series>,
}

/// Boots all that are asked for.
pub(crate) fn kernels(args: &Args) -> Result<ExitCode> {
    let begin = Instant::now();
    if !cfg!(target_arch = "x86_64") {
        let why = "the guests are x86-64 machines, and run the program that is built here";
        return Err(Refused::new(why, "run it on x86-64").into());
    }
    apt::require()?;
    let all = args.series.is_empty();
    let series = if all { Series::matrix() } else { args.series.clone() };
    let emulator = Emulator::find_or_fetch(!args.no_install)?;
    let shelf = Shelf::open(args.mirror.as_deref(), !args.no_install)?;
    let releases = shelf.newest(&series)?;
    cleanup::check()?;
    let guest = guest::build()?;
    let outcomes = run::all(&releases, &shelf, &emulator, &guest)?;

    let mut summary = Summary::default();
    for outcome in &outcomes {
        if outcome.has_passed() {
            summary.passed += 1;
        } else {
            summary.failed += 1;
        }
    }
    show(table::text(&outcomes));
    if all {
        table::write(&outcomes)?;
        say(format_args!("wrote the table of {}", table::PAGE));
    }
    say(format_args!("{} s in all", begin.elapsed().as_secs()));
    show(format_args!("kernels: {} passed, {} failed", summary.passed, summary.failed));
    Ok(if summary.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is kept from one run to the next.
fn folder(name: &str) -> Result<PathBuf> {
    let folder = target().join("kernels").join(name);
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    Ok(folder)
}
