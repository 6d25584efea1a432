//! `cargo xtask run`: from a fresh clone to an agent that observes, in one command.

use std::{
    ffi::OsString,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result};

use crate::{
    cleanup::OnDrop,
    command::{line, stream, wait},
    docker::{Answer, Host},
    lab::{self, topology, traffic::Traffic},
    report::say,
    root::Root,
    setup::{self, Purpose},
    workspace::{cargo, target},
};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask run                                      flows on standard output, metrics as netwatch says
  cargo xtask run -- --flow-log /tmp/flows.log         what follows -- goes to `netwatch run`")]
pub(crate) struct Args {
    /// Install nothing; exit with 3 where something is missing
    #[arg(long)]
    no_install: bool,
    /// Build without optimisation
    #[arg(long, conflicts_with = "release")]
    debug: bool,
    /// Build with optimisation (the default)
    #[arg(long)]
    release: bool,
    /// Arguments of `netwatch run`; without any, the flow log goes to standard output
    #[arg(last = true)]
    arguments: Vec<OsString>,
}

/// Arguments of the hidden command that observes the lab.
#[derive(clap::Args)]
pub(crate) struct ObserveArgs {
    netwatch: PathBuf,
    #[arg(last = true)]
    arguments: Vec<OsString>,
}

/// Builds, and becomes the agent; or, without Docker, observes the lab.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let root = Root::find("netwatch loads programs into the kernel, which")?;
    setup::ensure(Purpose::Build, !args.no_install)?;
    let profile = if args.debug { "debug" } else { "release" };
    let release: &[&str] = if args.debug { &[] } else { &["--release"] };
    stream(cargo(&["build", "--package", "netwatch"]).args(release))?;
    let netwatch = target().join(profile).join("netwatch");
    let arguments = if args.arguments.is_empty() {
        vec!["--flow-log".into(), "-".into()]
    } else {
        args.arguments.clone()
    };

    let host = Host::configured();
    if host.ping() == Answer::No {
        let nodes = lab::NODES.map(|node| node.name).join(", ");
        say(format_args!(
            "No Docker engine answers on {host}: observing a small lab of namespaces instead ({nodes} on bridge {})",
            lab::BRIDGE
        ));
        let observe = ObserveArgs { netwatch, arguments };
        return if root == Root::Here {
            observe_lab(&observe)
        } else {
            observe_lab_through(root, &observe)
        };
    }
    let mut command = agent(root, &netwatch, &arguments);
    say(format_args!("{} (Docker engine on {host})", line(&command)));
    // Only returns if it fails.
    Err(command.exec()).with_context(|| format!("starting {}", line(&command)))
}

/// The lab needs root from its first step to its last, so all of it runs as one process of root's.
fn observe_lab_through(root: Root, args: &ObserveArgs) -> Result<ExitCode> {
    let program = std::env::current_exe().context("finding this program")?;
    let mut command = root.command(&program.to_string_lossy());
    command.arg("observe-lab").arg(&args.netwatch).arg("--").args(&args.arguments);
    Err(command.exec()).with_context(|| format!("starting {}", line(&command)))
}

/// Brings the lab up, observes it, and takes it down again however the agent ends.
pub(crate) fn observe_lab(args: &ObserveArgs) -> Result<ExitCode> {
    lab::require()?;
    let _ = topology::up()?;
    let _lab = OnDrop::new(topology::down_or_say);
    let _traffic = Traffic::endless()?;
    let mut command = agent(Root::Here, &args.netwatch, &args.arguments);
    let mut child = command.spawn().with_context(|| format!("starting {}", line(&command)))?;
    // Ctrl-C reaches the agent from the terminal, `kill` through us; either way it ends by itself, and then we clean up.
    let status = wait(&mut child)?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    if code.is_none() {
        say(format_args!("netwatch ended: {status}"));
    }
    Ok(ExitCode::from(code.unwrap_or(1)))
}

fn agent(root: Root, netwatch: &Path, arguments: &[OsString]) -> Command {
    let mut command = root.command(&netwatch.to_string_lossy());
    command.arg("run").args(arguments);
    command
}
