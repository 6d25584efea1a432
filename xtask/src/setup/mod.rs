//! `cargo xtask setup`: finds, or installs, what the build and the tests need.
//!
//! Promises: each installation is announced before it begins; with `--no-install` nothing is changed and the table says
//! which command brings what is missing; with everything there it only looks at files and asks dpkg and rustup.

mod apt;

mod linker;
pub(crate) mod subcommand;
mod table;
pub(crate) mod toolchain;
mod tools;

use std::process::Command;

use anyhow::Result;
use clap::ValueEnum;

use self::{
    apt::Apt,
    table::{Row, Table},
    toolchain::{PACKAGES, Packaged, Toolchain},
    tools::Tool,
};
use crate::{
    cleanup,
    command::{capture, line},
    refused::Refused,
    report::{say, show},
};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask setup                             everything, installing what is missing
  cargo xtask setup --no-install --for build    what is missing for the build, and the commands that bring it")]
pub(crate) struct Args {
    /// Install nothing; exit with 3 where something is missing
    #[arg(long)]
    no_install: bool,
    /// What for: the tests need more than the build
    #[arg(long = "for", value_enum, default_value_t = Purpose::Test)]
    purpose: Purpose,
}

/// What is to work afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Purpose {
    /// Building and running netwatch
    Build,
    /// The tests too
    Test,
    /// Checking what is handed out
    Dist,
}

/// The command: always shows the table.
#[expect(clippy::needless_pass_by_value, reason = "clap hands arguments over by value")]
pub(crate) fn setup(args: Args) -> Result<()> {
    let (table, outcome) = work(args.purpose, !args.no_install);
    show(&table);
    judge(&table, outcome)
}

/// The same for `run` and `test`, which show the table only where it has something to tell.
pub(crate) fn ensure(purpose: Purpose, install: bool) -> Result<()> {
    let (table, outcome) = work(purpose, install);
    if outcome.is_err() || !table.is_plain() {
        show(&table);
    }
    judge(&table, outcome)
}

fn judge(table: &Table, outcome: Result<()>) -> Result<()> {
    outcome?;
    if table.missing().is_empty() {
        return Ok(());
    }
    Err(Refused::new(
        format!("missing: {}", table.missing().join(", ")),
        "see the commands in the table",
    )
    .into())
}

/// Goes as far as it can, so that the table is whole even when an installation failed.
fn work(purpose: Purpose, install: bool) -> (Table, Result<()>) {
    let mut apt = Apt::find();
    let before = tools::look(purpose);
    let mut outcome = Ok(());
    if install && apt.is_usable() {
        outcome = with_apt(&mut apt, &before);
    }
    let installing = install && outcome.is_ok();
    let toolchain = toolchain::find();
    let toolchain = if installing && !toolchain::is_overridden() {
        toolchain.or_else(|_| toolchain::link())
    } else {
        toolchain
    };
    let linker = linker::find();
    let linker = match &toolchain {
        Ok(toolchain) if linker.is_none() && installing => linker::install(&mut apt, toolchain)
            .map_err(|error| {
                outcome = Err(error);
            })
            .ok(),
        _ => linker,
    };
    let mut table = Table::default();
    table.push(tools::rustup());
    table.push(toolchain_row(toolchain.as_ref(), &apt));
    table.push(linker::row(linker, toolchain.as_ref().ok(), &apt));
    for (tool, now) in before.iter().zip(tools::look(purpose)) {
        table.push(tool_row(tool, &now, &apt));
    }
    for row in &mut table.rows {
        row.mark_installed(&apt);
    }
    (table, outcome)
}

/// Everything that is known to be missing, with one call.
fn with_apt(apt: &mut Apt, tools: &[Tool]) -> Result<()> {
    let mut packages: Vec<&str> = Vec::new();
    if toolchain::find().is_err()
        && matches!(toolchain::packaged(), Packaged::No)
        && !toolchain::is_overridden()
    {
        packages.extend(PACKAGES);
    }
    for tool in tools.iter().filter(|tool| tool.place.is_none()) {
        packages.push(apt.first_there(tool.packages)?);
    }
    packages.sort_unstable();
    packages.dedup();
    cleanup::check()?;
    apt.install(&packages)
}

fn toolchain_row(toolchain: Result<&Toolchain, &anyhow::Error>, apt: &Apt) -> Row {
    let thing = "Rust for BPF";
    match toolchain {
        Ok(toolchain) => Row::found(thing, toolchain.to_string(), &toolchain.place).of(PACKAGES[0]),
        Err(error) => {
            let remedy = if toolchain::is_overridden() {
                String::new()
            } else if matches!(toolchain::packaged(), Packaged::Yes) {
                format!("rustup toolchain link {} /usr", toolchain::LINKED)
            } else if apt.is_debian() {
                format!("{}; rustup toolchain link {} /usr", apt.line(&PACKAGES), toolchain::LINKED)
            } else {
                toolchain::NIGHTLY_REMEDY.into()
            };
            Row::missing_because(thing, &error.to_string(), &remedy)
        }
    }
}

fn tool_row(before: &Tool, now: &Tool, apt: &Apt) -> Row {
    let package = now.packages[0];
    match &now.place {
        Some(place) => {
            let version =
                now.packages.iter().find_map(|package| apt::version(package)).unwrap_or_default();
            Row::found(now.thing, version, place).of(if before.place.is_none() {
                package
            } else {
                ""
            })
        }
        None if apt.is_debian() => Row::missing(now.thing, apt.line(&[package])),
        None => Row::missing(now.thing, format!("install {package} by your distribution's means")),
    }
}

/// Announces a long command, then runs it out of sight: its output only matters if it fails.
fn announced(what: &str, command: &mut Command) -> Result<()> {
    say(format_args!("{what}: {}", line(command)));
    capture(command).map(drop)
}
