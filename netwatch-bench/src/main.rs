//! What netwatch costs, measured: its programs in the kernel packet by packet, next to a plain flow counter; then a lab with
//! and without the agent.
//!
//! Run by `cargo xtask bench`, as root. Everything it sends stays in network namespaces that it made itself.

mod cpu;
mod lab;
mod machine;
mod page;
mod path;
mod report;
mod statistics;
mod table;

use std::{
    env, fs,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    thread,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use clap::{Parser, ValueEnum};

use crate::{cpu::Cpus, machine::Machine, report::Report};

/// The page that is written.
const PAGE: &str = "docs/performance.md";

/// Measures what netwatch costs on this machine.
#[derive(Parser)]
#[command(
    name = "cargo xtask bench --",
    after_help = "\
The bench wants a machine to itself: it says how busy it was when it began. Exit codes: 0 done, 1 failed or, with --check,
a goal missed, 2 usage."
)]
struct Args {
    /// The agent; without it, the one beside the bench
    #[arg(long, value_name = "FILE")]
    agent: Option<PathBuf>,
    /// Only this part
    #[arg(long, value_enum)]
    part: Option<Part>,
    /// Of the packet path only cases with this in their name
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// At most so many pairs of runs without and with the agent for each line of the lab
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u8).range(2..=100))]
    pairs: u8,
    /// Write all results there as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write docs/performance.md from this run, which has to be a whole one
    #[arg(long, conflicts_with_all = ["part", "only"])]
    write_docs: bool,
    /// Exit with 1 if a goal is missed
    #[arg(long)]
    check: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The programs in the kernel, packet by packet
    Path,
    /// Throughput with and without the agent
    Lab,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let report = run(&args)?;
    if let Some(file) = &args.json {
        let text = serde_json::to_string_pretty(&report)?;
        fs::write(file, text + "\n").with_context(|| format!("writing {}", file.display()))?;
    }
    if args.write_docs {
        fs::write(PAGE, page::page(&report)).with_context(|| format!("writing {PAGE}"))?;
    }
    let missed = report.goals().iter().filter(|goal| !goal.is_met()).count();
    Ok(if args.check && missed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn run(args: &Args) -> Result<Report> {
    let cpus = Cpus::find().context("finding a CPU to measure on")?;
    let mut report = Report { machine: Machine::this(), path: None, lab: None };
    show(&report.machine)?;
    // Each part on a thread of its own: it changes the namespace, and the first one stays on one CPU.
    if args.part.is_none_or(|part| part == Part::Path) {
        show(format_args!("\n{}", table::PATH))?;
        let each = |cost: &path::Cost| {
            // What cannot be shown is in the report all the same.
            let _ = show(table::path(cost));
        };
        report.path = Some(on_thread(|| path::measure(&args.only, &cpus, each))?);
    }
    if args.part.is_none_or(|part| part == Part::Lab) {
        let folder = tempfile::tempdir().context("making a folder for the agent's log")?;
        let options = lab::Options {
            program: args.agent.clone().map_or_else(agent, Ok)?,
            log: folder.path().join("log"),
            most_pairs: args.pairs.into(),
        };
        let say = |line: String| {
            // Nobody needs progress that cannot be shown.
            let _ = writeln!(io::stderr().lock(), "{line}");
        };
        report.lab = Some(on_thread(|| lab::measure(&options, &cpus, say))?);
    }
    show(table::rest(&report))?;
    Ok(report)
}

fn show(text: impl std::fmt::Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

fn on_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let result = thread::scope(|scope| scope.spawn(work).join());
    result.map_err(|_| anyhow!("a thread of the bench failed"))?
}

/// The agent that was built beside this bench.
fn agent() -> Result<PathBuf> {
    let agent = env::current_exe()?.with_file_name("netwatch");
    ensure!(agent.exists(), "there is no {}; `cargo xtask bench` builds one", agent.display());
    Ok(agent)
}
