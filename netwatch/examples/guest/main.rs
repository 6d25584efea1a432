//! The first process of the virtual machines that `cargo xtask kernels` boots: runs the real datapath, and then the real
//! agent, on that machine's kernel, on real packets, and says line by line how it went (`report.rs`).
//!
//! The same program is the agent where it is called `netwatch`. On anything but a machine of its own it refuses to run:
//! it mounts, loads modules, and turns the machine off in the end.

mod agent;
mod beside;
mod boot;
mod exact;
mod features;
mod links;
mod namespace;
mod network;
mod observer;
mod report;
mod scenarios;
mod traffic;
mod witness;

use std::{io::Write as _, path::Path, process::ExitCode};

use anyhow::Result;

use self::{network::Network, report::Report};

fn main() -> ExitCode {
    let called = std::env::args_os().next().unwrap_or_default();
    if Path::new(&called).file_name().is_some_and(|name| name == "netwatch") {
        return netwatch::cli::main();
    }
    if std::process::id() != 1 {
        let _ = writeln!(
            std::io::stderr(),
            "this is the first process of a virtual machine: see `cargo xtask kernels`"
        );
        return ExitCode::FAILURE;
    }
    let mut report = Report::default();
    if let Err(error) = run(&mut report) {
        report.failed("boots", &error);
    }
    report.finish();
    boot::power_off()
}

fn run(report: &mut Report) -> Result<()> {
    boot::prepare()?;
    features::kernel(report);
    let network = Network::make()?;
    if scenarios::run(report, &network) {
        agent::run(report, &network);
    }
    Ok(())
}
