//! `cargo xtask bench`: what netwatch costs, measured on this machine by the program netwatch-bench.

use std::{ffi::OsString, process::ExitCode};

use anyhow::{Context as _, Result};

use crate::{
    command::{line, stream, wait},
    dist,
    root::Root,
    setup::{self, Purpose},
    workspace::{cargo, root, target},
};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench
  cargo xtask bench -- --help              what the bench itself can do
  cargo xtask bench -- --only IPv4         only cases with that in their name")]
pub(crate) struct Args {
    /// Install nothing; exit with 3 where something is missing
    #[arg(long)]
    no_install: bool,
    /// Arguments of the bench
    #[arg(last = true)]
    arguments: Vec<OsString>,
}

/// Builds the agent as it is handed out, and runs the bench with it.
pub(crate) fn bench(args: &Args) -> Result<ExitCode> {
    let privileged = Root::find("the bench loads programs into the kernel, which")?;
    setup::ensure(Purpose::Build, !args.no_install)?;
    stream(&mut cargo(&["build", "--release", "--package", "netwatch-bench"]))?;
    let agent = dist::program()?;
    let program = target().join("release/netwatch-bench");
    let mut command = privileged.command(&program.to_string_lossy());
    command.arg("--agent").arg(agent).args(&args.arguments).current_dir(root());
    let mut child = command.spawn().with_context(|| format!("starting {}", line(&command)))?;
    let status = wait(&mut child)?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}
