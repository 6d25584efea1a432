//! The arguments of `netwatch flows`.

use clap::{Arg, ArgAction, Command};

use super::{
    super::option::{DEFAULT_SOCKET, Key, Spec},
    filters,
};
/// The argument that asks for no events.
pub(super) const SCHEMA: &str = "schema";

const EXAMPLES: &str = "\
Examples:
  netwatch flows
      the last flow events that the running agent has told of
  netwatch flows -f --container 'web*' --not --proto udp
      what the web containers do, without DNS and other UDP, as it comes
  netwatch flows --since 10m --events end --to db -o json
      each flow to db that ended in the last ten minutes, one JSON object a line
  netwatch flows -f --fold --to web
      what calls web, short connections of the same caller in one line with their number
  netwatch flows --watch --sort packets
      the largest flows, refreshed every second, until Ctrl-C
  netwatch flows --file flows.jsonl.1.gz --file flows.jsonl --events drop
      from a flow log in JSON, without an agent: what lost packets

Filters of the same kind are alternatives, those of different kinds have to hold
all, and of those behind --not none may hold. Quote a pattern, so that the shell
leaves it alone.";

/// `netwatch flows`.
pub(in super::super) fn command() -> Command {
    let flows = Command::new("flows")
        .about("Show the flow events of a running agent: the last ones, or as they come")
        .after_help("Examples and details: netwatch flows --help")
        .after_long_help(EXAMPLES)
        .args([
            flag("follow", "Go on with events as they come, until Ctrl-C").short('f'),
            value(
                "last",
                "N",
                "Only the last N events that pass the filters \
                 [default: 20; with --follow 10; with --fold 1000; with --since or --file all]",
            )
            .short('n'),
            value(
                "since",
                "TIME",
                "Not what was before: 5m (ago), or a time such as 2026-11-24T19:04:05Z",
            ),
            value("until", "TIME", "Not what was after; with --follow, end then: +5m (from now)"),
            value(
                "sort",
                "WORD",
                "Not events but flows, the largest first, by: bytes, packets, duration, drops, time",
            ),
            value("top", "N", "So many of the largest flows [default: 20]"),
            flag("watch", "Refresh the largest flows every second, until Ctrl-C"),
            value(
                "fold",
                "TIME",
                "One line for all flows between the same two that begin and end within a time \
                 [default, where it is left out: 5s]",
            )
            .num_args(0..=1)
            .default_missing_value("5s"),
            value("output", "text|wide|json|csv", "How lines are written [default: text]").short('o'),
            value(
                "file",
                "FILE",
                "Not an agent's events but those of a flow log in JSON (repeatable); .gz is \
                 unpacked, - is standard input",
            )
            .action(ArgAction::Append),
            flag(
                SCHEMA,
                "Print the JSON Schema of the lines of -o json and of the flow log, and nothing else",
            )
            .exclusive(true),
            Arg::new("socket").long("socket").value_name("PATH").help(format!(
                "The agent's socket [env: {}] [default: {DEFAULT_SOCKET}]",
                variable()
            )),
        ]);
    flows.args(filters::arguments())
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn value(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    // `-1` is a value that the check has something to say about, not an unknown flag.
    Arg::new(name).long(name).value_name(value).allow_negative_numbers(true).help(help)
}

/// The variable that names the agent's socket.
pub(super) fn variable() -> String {
    Key::Socket.spec().map(Spec::variable).unwrap_or_default()
}
