//! `cargo xtask test`: every test of the workspace, on a real Docker engine, and one line at the end that says how it went.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::{
    engine::Engine,
    lanes,
    report::{say, show},
    root::Root,
    seen::{self, Seen},
    setup::{self, Purpose},
    suite::Suite,
    summary::Summary,
    workspace::cargo,
};

/// The kernel's programs cannot run in user space; what they are made of is tested in netwatch-common.
const ALL: [&str; 3] = ["--workspace", "--exclude", "netwatch-ebpf"];

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask test
  cargo xtask test parse      only the tests with `parse` in their name

The last line is `netwatch: N passed, M failed`.")]
pub(crate) struct Args {
    /// Install nothing; exit with 3 where something is missing
    #[arg(long)]
    no_install: bool,
    /// Only tests whose name contains one of these
    filter: Vec<String>,
}

/// Runs all tests. The summary comes when everything has been cleaned up, so that it is the last line.
pub(crate) fn test(args: &Args) -> Result<ExitCode> {
    let root = Root::find("the tests load programs into the kernel and start containers, which")?;
    setup::ensure(Purpose::Test, !args.no_install)?;
    // Compiled before the engine starts: a mistake in the code shows at once, and no engine waits for the compiler.
    let all = ["test", "--no-run", "--lib", "--bins", "--tests", "--examples"];
    let suites = Suite::build(cargo(&all).args(ALL), root)?;
    let mut summary = Summary::default();
    let result = with_engine(root, suites, &args.filter, &mut summary);
    if let Err(error) = &result {
        say(format_args!("error: {error:#}"));
    }
    show(format_args!("{summary}"));
    Ok(if result.is_ok() && summary.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn with_engine(
    root: Root,
    mut suites: Vec<Suite>,
    filter: &[String],
    summary: &mut Summary,
) -> Result<()> {
    let engine = Engine::find_or_start(root)?;
    let seen = Seen::begin()?;
    for suite in &mut suites {
        // Tests that need root and Docker are marked as ignored, so that a plain `cargo test` works everywhere.
        suite.command.arg("--include-ignored");
    }
    suites.push(documented(root));
    for suite in &mut suites {
        suite
            .command
            .args(filter)
            .env("NETWATCH_TEST_DOCKER", "1")
            .env("DOCKER_HOST", &engine.host.0)
            .env(seen::VARIABLE, &seen.0);
    }
    let tested = lanes::run(suites, |line: &str| show(line), summary);
    // Some of the tests see some of the metrics.
    if filter.is_empty() {
        match seen.check() {
            Ok(()) => summary.passed += 1,
            Err(error) => {
                summary.failed += 1;
                say(format_args!("error: {error:#}"));
            }
        }
    }
    tested
}

/// The examples in the documentation, which only cargo runs.
fn documented(root: Root) -> Suite {
    let mut command = cargo(&["test", "--no-fail-fast", "--doc"]);
    command.args(ALL).arg("--");
    run_as(root, &mut command);
    Suite { name: "examples in the documentation".into(), command }
}

/// Compiled by us, run by root: so root never owns a file in the target folder.
pub(crate) fn run_as(root: Root, command: &mut Command) {
    if root == Root::Sudo {
        command.env(runner(), "sudo -E");
    }
}

/// The variable that names cargo's runner for this host.
fn runner() -> String {
    format!(
        "CARGO_TARGET_{}_UNKNOWN_LINUX_{}_RUNNER",
        std::env::consts::ARCH.to_uppercase(),
        env_of_target()
    )
}

fn env_of_target() -> &'static str {
    if cfg!(target_env = "musl") { "MUSL" } else { "GNU" }
}
