//! `cargo xtask soak`: load, churn and faults together, for as long as wanted. What it does is a test of netwatch's, which the
//! ordinary run of the tests has too, for a minute.

use anyhow::Result;

use crate::{
    command::stream,
    root::Root,
    setup::{self, Purpose},
    test::run_as,
    workspace::cargo,
};

const TEST: &str = "soak::load_churn_and_faults_leave_nothing_and_lose_nothing";

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask soak                   an hour
  cargo xtask soak --minutes 10      memory is compared with that after five minutes, so less shows little

Every five seconds a line tells what the agent holds. Exit codes: 0 nothing lost and nothing grown, 1 failed, 2 usage, 3 not
permitted.")]
pub(crate) struct Args {
    /// Install nothing; exit with 3 where something is missing
    #[arg(long)]
    no_install: bool,
    /// Without optimisation
    #[arg(long)]
    debug: bool,
    /// How long
    #[arg(long, default_value_t = 60, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_080))]
    minutes: u32,
}

/// Builds, and soaks in a network namespace of its own.
pub(crate) fn soak(args: &Args) -> Result<()> {
    let root = Root::find("the soak loads programs into the kernel, which")?;
    setup::ensure(Purpose::Test, !args.no_install)?;
    let profile: &[&str] = if args.debug { &[] } else { &["--release"] };
    let mut command = cargo(&["test", "--package", "netwatch", "--test", "reliability"]);
    command.args(profile).args(["--", "--include-ignored", "--nocapture", "--exact", TEST]);
    command.env("NETWATCH_SOAK_SECONDS", (u64::from(args.minutes) * 60).to_string());
    run_as(root, &mut command);
    stream(&mut command)
}
