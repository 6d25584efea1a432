//! `netwatch completions`: what a shell needs to complete netwatch's commands and options.

use clap::{Arg, ArgMatches, Command, value_parser};
use clap_complete::Shell;

use super::{Failure, command, terminal};

const EXAMPLES: &str = "\
Examples:
  netwatch completions bash > /usr/share/bash-completion/completions/netwatch
  netwatch completions zsh > /usr/share/zsh/vendor-completions/_netwatch
  netwatch completions fish > ~/.config/fish/completions/netwatch.fish";

/// `netwatch completions`.
pub(super) fn command() -> Command {
    Command::new("completions")
        .about("Print what a shell needs to complete netwatch's commands and options")
        .after_help(EXAMPLES)
        .arg(
            Arg::new("shell")
                .value_name("SHELL")
                .required(true)
                .value_parser(value_parser!(Shell))
                .help("Whose syntax"),
        )
}

/// Runs the subcommand.
pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let Some(shell) = matches.get_one::<Shell>("shell") else {
        return Err(Failure::usage("no shell given").hint("see 'netwatch completions --help'"));
    };
    let mut text = Vec::new();
    clap_complete::generate(*shell, &mut command::command(), "netwatch", &mut text);
    terminal::print(&String::from_utf8_lossy(&text))
}
