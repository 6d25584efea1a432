//! netwatch's developer and first-run commands: `cargo xtask setup | run | test | soak | fuzz | kernels | bench | dist |
//! lab`.
//!
//! Promises: every command leaves the host as it found it, also when it fails or is interrupted; only `setup` installs
//! anything, and says so first. Exit codes are netwatch's own: 0 done, 1 failed, 2 usage, 3 not permitted or not
//! supported here.

mod bench;
mod cleanup;
mod command;
mod dashboards;
mod debian;
mod dist;
mod docker;
mod engine;
mod firewall;
mod fuzz;
mod image;
mod kernels;
mod lab;
mod lanes;
mod refused;
mod report;
mod root;
mod run;
mod screenshot;
mod seen;
mod setup;
mod soak;
mod suite;
mod summary;
mod test;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::{refused::Refused, report::say};

const EXAMPLES: &str = "\
Examples:
  cargo xtask setup                  find or install what the build needs, and the tests
  cargo xtask setup --no-install     only say what is missing, and the command that brings it
  cargo xtask run                    build netwatch and observe this host's containers (or a lab, without Docker)
  cargo xtask run -- --flow-log - --flow-format json
  cargo xtask test                   every test, on a real Docker engine
  cargo xtask soak --minutes 60      load, churn and faults together, as long as wanted
  cargo xtask fuzz --seconds 30      every fuzz target for 30 seconds
  cargo xtask kernels                old and new kernels, in virtual machines
  cargo xtask bench                  what netwatch costs on this machine
  cargo xtask dist                   what is handed out, into target/dist
  cargo xtask lab up                 a Docker-like host without Docker
  cargo xtask lab traffic --seconds 60

Exit codes: 0 done, 1 failed, 2 usage, 3 not permitted or not supported here.";

/// Sets up, runs and tests netwatch.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = EXAMPLES)]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Find or install what the build and the tests need, and show one table of it
    Setup(setup::Args),
    /// Set up, build, and start the agent; without a Docker engine it observes the lab
    Run(run::Args),
    /// Set up, build, and run every test; starts a Docker engine of its own where none answers
    Test(test::Args),
    /// Load, churn and faults together, for as long as wanted: nothing is lost, nothing grows
    Soak(soak::Args),
    /// Run each fuzz target for some time, from the kept corpus on
    Fuzz(fuzz::Args),
    /// Boot Debian's kernels in virtual machines, and run netwatch on each
    Kernels(kernels::Args),
    /// Measure what netwatch costs on this machine
    Bench(bench::Args),
    /// Make what is handed out: a static binary, a Debian package, a tarball, an image, and the list of what is in them
    Dist(dist::Args),
    /// A Docker-like host without Docker: namespaces web, api, db and cli on one bridge
    #[command(subcommand)]
    Lab(lab::Task),
    /// Keep a Docker engine, with the tests' image in it, for as long as standard input is open (for `test`)
    #[command(hide = true)]
    Engine,
    /// Make a picture (SVG) of what `tmux capture-pane -e -p` prints, for the README
    #[command(hide = true)]
    Screenshot,
    /// Make pictures (SVG) of what the dashboards show of a Prometheus's figures, for docs/dashboards.md
    #[command(hide = true)]
    Dashboards(dashboards::Args),
    /// Observe the lab (for `run`, the part that needs root)
    #[command(hide = true)]
    ObserveLab(run::ObserveArgs),
    /// Answer the lab's clients (runs inside a namespace)
    #[command(hide = true)]
    LabServe(lab::server::Args),
    /// Send the lab's traffic (runs inside a namespace)
    #[command(hide = true)]
    LabClient(lab::client::Args),
}

fn main() -> ExitCode {
    let args = Args::parse();
    match cleanup::listen().and_then(|()| perform(args.task)) {
        Ok(code) => code,
        Err(error) => {
            say(format_args!("error: {error:#}"));
            ExitCode::from(if error.is::<Refused>() { 3 } else { 1 })
        }
    }
}

fn perform(task: Task) -> Result<ExitCode> {
    match task {
        Task::Setup(args) => setup::setup(args)?,
        Task::Run(args) => return run::run(&args),
        Task::Test(args) => return test::test(&args),
        Task::Soak(args) => soak::soak(&args)?,
        Task::Fuzz(args) => fuzz::fuzz(&args)?,
        Task::Kernels(args) => return kernels::kernels(&args),
        Task::Bench(args) => return bench::bench(&args),
        Task::Dist(args) => dist::dist(&args)?,
        Task::Lab(task) => lab::lab(&task)?,
        Task::Engine => engine::keep()?,
        Task::Screenshot => screenshot::screenshot()?,
        Task::Dashboards(args) => dashboards::dashboards(&args)?,
        Task::ObserveLab(args) => return run::observe_lab(&args),
        Task::LabServe(args) => lab::server::serve(&args)?,
        Task::LabClient(args) => lab::client::run(&args),
    }
    Ok(ExitCode::SUCCESS)
}
