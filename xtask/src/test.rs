//! `cargo xtask test`: every test of the workspace, on a real Docker engine, and one line at the end that says how it went.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, ExitCode, Stdio},
    thread,
};

use anyhow::{Context as _, Result, anyhow};

use crate::{
    cleanup,
    command::{line, stream, wait},
    engine::Engine,
    report::{say, show},
    root::Root,
    seen::{self, Seen},
    setup::{self, Purpose},
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
    stream(cargo(&["test", "--no-run", "--lib", "--bins", "--tests", "--examples"]).args(ALL))?;
    let mut summary = Summary::default();
    let result = with_engine(root, &args.filter, &mut summary);
    if let Err(error) = &result {
        say(format_args!("error: {error:#}"));
    }
    show(format_args!("{summary}"));
    Ok(if result.is_ok() && summary.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn with_engine(root: Root, filter: &[String], summary: &mut Summary) -> Result<()> {
    let engine = Engine::find_or_start(root)?;
    let seen = Seen::begin()?;
    let tests = |what: &[&str], how: &[&str]| {
        let mut command = cargo(&["test", "--no-fail-fast"]);
        command.args(ALL).args(what).arg("--").args(how).args(filter);
        command
            .env("NETWATCH_TEST_DOCKER", "1")
            .env("DOCKER_HOST", &engine.host.0)
            .env(seen::VARIABLE, &seen.0);
        run_as(root, &mut command);
        command
    };
    let documented = run(tests(&["--doc"], &[]), summary);
    cleanup::check()?;
    // Tests that need root and Docker are marked as ignored, so that a plain `cargo test` works everywhere.
    let all = ["--lib", "--bins", "--tests", "--examples"];
    let tested = run(tests(&all, &["--include-ignored"]), summary);
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
    tested.and(documented)
}

fn run(mut command: Command, summary: &mut Summary) -> Result<()> {
    command.stdout(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("starting {}", line(&command)))?;
    let output = child.stdout.take().context("cargo test has no output")?;
    let reader = thread::spawn(move || {
        let mut summary = Summary::default();
        // Bytes, not text: a test may print anything.
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            show(&line);
            summary.add(&line);
        }
        summary
    });
    let status = wait(&mut child)?;
    let part = reader.join().map_err(|_| anyhow!("reading the tests' output failed"))?;
    summary.passed += part.passed;
    summary.failed += part.failed;
    if status.success() { Ok(()) } else { Err(anyhow!("{} failed: {status}", line(&command))) }
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
