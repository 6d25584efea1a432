//! `netwatch doctor`: looks at this host with the configuration that an agent would have.

mod show;

use clap::{Arg, ArgMatches, Command};

use super::{
    Exit, Failure, check, command,
    option::{Key, OPTIONS},
    run, terminal, value,
};
use crate::doctor::{self, Report, Verdict};

/// The options of `netwatch run` that change what there is to find.
const RELEVANT: [Key; 11] = [
    Key::Interface,
    Key::Exclude,
    Key::AttachMode,
    Key::MaxFlows,
    Key::PinDir,
    Key::Ephemeral,
    Key::DockerHost,
    Key::Socket,
    Key::ListenAddress,
    Key::SystemdSocket,
    Key::TelemetryPath,
];

const FORMATS: [(&str, Format); 2] = [("text", Format::Text), ("json", Format::Json)];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Text,
    Json,
}

const EXAMPLES: &str = "\
Examples:
  netwatch doctor
      what is missing on this host, and what to do about it; run it as root
  netwatch doctor --config /etc/netwatch.toml
      the same with the configuration of the agent
  netwatch doctor -o json | jq -r '.checks[] | select(.verdict != \"ok\") | .remedy'
      only what is to be done

Exit codes: 0 all is well or as chosen, 3 netwatch cannot work here, 4 it works
with less than it could do.";

/// `netwatch doctor`.
pub(super) fn command() -> Command {
    let doctor = Command::new("doctor")
        .about("Check whether netwatch can work on this host, and say what to do where it cannot")
        .long_about(
            "Check whether netwatch can work on this host, and say what to do where it cannot.\n\n\
             The programs are loaded into the kernel for a moment, and attached to nothing. An agent that runs goes on.",
        )
        .after_help("Examples and details: netwatch doctor --help")
        .after_long_help(EXAMPLES)
        .arg(
            Arg::new("output")
                .short('o')
                .long("output")
                .value_name("text|json")
                .help("Lines for people, or one JSON object [default: text]"),
        );
    OPTIONS
        .iter()
        .filter(|spec| RELEVANT.contains(&spec.key))
        .fold(doctor, |doctor, spec| doctor.arg(command::argument(spec)))
        .arg(command::config())
}

/// Runs the subcommand.
pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let format = match matches.get_one::<String>("output") {
        None => Format::Text,
        Some(text) => value::choice(text, &FORMATS).map_err(|wrong| {
            Failure::usage(format!("--output: '{text}' {}", wrong.what)).hint(wrong.hint)
        })?,
    };
    let config = check::check(&run::merge(matches)?)?.config;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::caused(Exit::Failed, &error))?;
    let report = runtime.block_on(doctor::examine(&config));
    terminal::print(&match format {
        Format::Text => show::text(&report, terminal::colour_on_stdout()),
        Format::Json => show::json(&report),
    })?;
    verdict(&report)
}

/// The exit code, and the checks that are to blame.
fn verdict(report: &Report) -> Result<(), Failure> {
    let code = match report.verdict() {
        Verdict::Ok => return Ok(()),
        Verdict::Degraded => Exit::Partly,
        Verdict::Failed => Exit::NotPermitted,
    };
    let parts: Vec<String> = [Verdict::Failed, Verdict::Degraded]
        .iter()
        .map(|verdict| (verdict, report.checks(*verdict)))
        .filter(|(_, checks)| !checks.is_empty())
        .map(|(verdict, checks)| format!("{}: {}", verdict.name(), checks.join(", ")))
        .collect();
    Err(Failure::new(code, parts.join("; ")))
}
