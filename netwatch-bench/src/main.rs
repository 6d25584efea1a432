//! What netwatch costs, measured: its programs in the kernel packet by packet, next to a plain flow counter.
//!
//! Run by `cargo xtask bench`, as root. Nothing but the measured programs sees a packet: they run on packets in memory.

mod case;
mod cpu;
#[path = "../../netwatch-ebpf/bench/drive.rs"]
mod drive;
mod kernel;
mod measure;
mod packet;
mod statistics;
mod table;

use std::io::{self, Write as _};

use anyhow::{Context as _, Result};
use clap::Parser;

/// Measures what netwatch costs.
#[derive(Parser)]
struct Args {
    /// Only cases with this in their name
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let cpus = cpu::Cpus::find().context("finding a CPU to measure on")?;
    cpus.stay().context("staying on one CPU")?;
    cpu::new_network().context("making a network namespace")?;
    let mut out = io::stdout().lock();
    writeln!(out, "{}", table::HEAD)?;
    for case in case::all().iter().filter(|case| case.name.contains(&args.only)) {
        let cost =
            measure::measure(case, &cpus).with_context(|| format!("measuring {}", case.name))?;
        writeln!(out, "{}", table::Line(&cost))?;
    }
    Ok(())
}
