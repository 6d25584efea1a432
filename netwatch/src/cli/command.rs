//! The clap command, built from the table of options, and what clap has to say in netwatch's own form.

use std::{fmt::Write as _, sync::LazyLock};

use clap::{Arg, ArgAction, ArgMatches, Command, builder::Styles, builder::styling::AnsiColor};

use super::{
    Failure, completions, doctor, flows, man,
    option::{OPTIONS, Spec},
    raw::{Origin, Raw},
    stop,
};

/// Variable that names the configuration file.
pub(super) const CONFIG_VARIABLE: &str = "NETWATCH_CONFIG";

/// Name, version, revision if the build knew one, and the layout version that agent and kernel object share.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let abi = netwatch_common::ABI_VERSION;
    match option_env!("NETWATCH_REVISION") {
        Some(revision) if !revision.is_empty() => {
            format!("{} (revision {revision}, ABI {abi})", env!("CARGO_PKG_VERSION"))
        }
        _ => format!("{} (revision unknown, ABI {abi})", env!("CARGO_PKG_VERSION")),
    }
});

const EXAMPLES: &str = "\
Examples:
  netwatch run                      observe every container of this host
  netwatch run --flow-log -         and print each flow as it starts and ends
  netwatch run --check              show the effective configuration
  netwatch flows -f                 the flows that a running agent sees, as they come
  netwatch stop                     end the agent, and let counting go on
  netwatch doctor                   what is missing on this host, and what to do

Exit codes: 0 done, 1 failed, 2 usage, 3 not permitted or not supported here,
4 partly.";

const RUN_EXAMPLES: &str = "\
Examples:
  netwatch run --flow-log -
      print each flow as it starts and ends
  netwatch run --interface 'br-*' --exclude vethdeadbeef
      only some interfaces; quote a glob so that the shell leaves it alone
  netwatch run --flow-log /var/log/netwatch/flows.json --flow-format json
      keep the flow log in a file, one JSON object a line
  netwatch run --web.listen-address :19733
      let a Prometheus on another host scrape this one
  NETWATCH_LOG_LEVEL=debug netwatch run --config /etc/netwatch.toml --check
      validate a configuration and show where each value comes from

Each flag can be given as an environment variable or in the configuration file
as well. A flag wins over a variable, a variable over the file.";

/// The whole command line.
pub(super) fn command() -> Command {
    let style = AnsiColor::Green.on_default().bold();
    Command::new("netwatch")
        .about("Observe the network traffic of a Docker host: which container talks to which, and how well")
        .version(VERSION.as_str())
        .styles(Styles::styled().header(style).usage(style))
        .max_term_width(100)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .after_help(EXAMPLES)
        .subcommand(run())
        .subcommand(flows::command())
        .subcommand(stop::command())
        .subcommand(doctor::command())
        .subcommand(completions::command())
        .subcommand(man::command())
}

/// `netwatch run`.
fn run() -> Command {
    let run = Command::new("run")
        .about("Run the agent: attach to the interfaces, serve metrics, write the flow log")
        .long_about(
            "Run the agent: attach to the interfaces, serve metrics, write the flow log.\n\n\
             It needs no flags and no file. Stop it with Ctrl-C or SIGTERM, and it leaves nothing behind; with 'netwatch stop' \
             (or SIGUSR2), and what counts in the kernel counts on for the next one, as it does when it is killed.",
        )
        .after_help("Examples and details: netwatch run --help")
        .after_long_help(RUN_EXAMPLES);
    OPTIONS.iter().fold(run, |run, spec| run.arg(argument(spec))).args([
        config(),
        Arg::new("check")
            .long("check")
            .action(ArgAction::SetTrue)
            .help_heading("Configuration")
            .help("Validate everything, print the effective configuration and exit"),
    ])
}

/// `--config`.
pub(super) fn config() -> Arg {
    Arg::new("config")
        .long("config")
        .value_name("FILE")
        .help_heading("Configuration")
        .help("Read options from a TOML file")
        .long_help(format!(
            "Read options from a TOML file.\n\
             Same names as the flags; a dot makes a table: [web] listen-address = [\":19733\"].\n\
             [env: {CONFIG_VARIABLE}] [default: none]"
        ))
}

/// The clap argument of one option. All of them are texts without a default: checking comes after merging.
pub(super) fn argument(spec: &'static Spec) -> Arg {
    // Single line breaks only: clap pads an empty line with blanks.
    let mut more = format!("{}.\n", spec.help);
    if !spec.more.is_empty() {
        more.push_str(spec.more);
        more.push('\n');
    }
    let _ = write!(more, "[env: {}] [default: {}]", spec.variable(), spec.default_text());
    let argument = Arg::new(spec.name)
        .long(spec.name)
        .value_name(spec.value)
        .help_heading(spec.heading)
        // `-1` is a value that the check has something to say about, not an unknown flag.
        .allow_negative_numbers(true)
        .action(if spec.list { ArgAction::Append } else { ArgAction::Set })
        .help(spec.help)
        .long_help(more);
    if spec.is_switch() {
        // With an equals sign only, or it would take the next argument for its value.
        argument.num_args(0..=1).require_equals(true).default_missing_value("true")
    } else {
        argument
    }
}

/// The layer of the flags, of those that the command has.
pub(super) fn flags(matches: &ArgMatches) -> Raw {
    let mut raw = Raw::default();
    for spec in OPTIONS {
        if let Ok(Some(texts)) = matches.try_get_many::<String>(spec.name) {
            raw.set(spec.key, texts.cloned().collect(), Origin::Flag(spec.name));
        }
    }
    raw
}

/// What clap refused, as one message and a hint. clap's rendering: the message, `tip:` lines, usage.
pub(super) fn failure(rendered: &str) -> Failure {
    let text = rendered.strip_prefix("error: ").unwrap_or(rendered);
    let message: Vec<&str> =
        text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    let tip = text.lines().find_map(|line| line.trim().strip_prefix("tip: "));
    Failure::usage(message.join(" "))
        .hint(tip.unwrap_or("see 'netwatch --help' and 'netwatch run --help'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_finds_nothing_wrong() {
        command().debug_assert();
    }

    #[test]
    fn refusals_become_one_message() {
        let failure = |arguments: &[&str]| {
            let error = command().try_get_matches_from(arguments).map(|_| ()).unwrap_err();
            failure(&error.render().to_string()).lines()
        };
        assert_eq!(
            failure(&["netwatch", "run", "--flow-lgo", "x"]),
            "netwatch: unexpected argument '--flow-lgo' found\nhint: a similar argument exists: '--flow-log'\n"
        );
        assert!(
            failure(&["netwatch", "rum"])
                .starts_with("netwatch: unrecognized subcommand 'rum'\nhint: ")
        );
    }
}
