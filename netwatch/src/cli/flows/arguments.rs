//! The arguments of `netwatch flows`, and the request that they make.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};
use jiff::{SignedDuration, Timestamp};

use super::{
    super::{
        Failure, environment,
        option::{DEFAULT_SOCKET, Key, Spec},
        terminal,
        value::{self, Wrong},
    },
    filters,
};
use crate::serve::flows::{self, Format, Request, Style};

/// Past events that are shown unless told otherwise: a screenful, and with `--follow` enough to see where one is.
const LAST: usize = 20;
const LAST_FOLLOWING: usize = 10;
const MOST_LAST: u32 = 1_000_000_000;

/// The argument that asks for no events.
pub(super) const SCHEMA: &str = "schema";

const FORMATS: [(&str, Format); 2] = [("text", Format::Text), ("json", Format::Json)];

const EXAMPLES: &str = "\
Examples:
  netwatch flows
      the last flow events that the running agent has told of
  netwatch flows -f --container 'web*' --not --proto udp
      what the web containers do, without DNS and other UDP, as it comes
  netwatch flows --since 10m --events end --to db -o json
      each flow to db that ended in the last ten minutes, one JSON object a line

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
            Arg::new("follow")
                .short('f')
                .long("follow")
                .action(ArgAction::SetTrue)
                .help("Go on with events as they come, until Ctrl-C"),
            Arg::new("last")
                .long("last")
                .short('n')
                .value_name("N")
                .allow_negative_numbers(true)
                .help(
                    "Only the last N events that pass the filters \
                 [default: 20; with --follow 10; with --since all]",
                ),
            Arg::new("since")
                .long("since")
                .value_name("TIME")
                .help("Not what was before: 5m (ago), or a time such as 2026-11-24T19:04:05Z"),
            Arg::new("until")
                .long("until")
                .value_name("TIME")
                .conflicts_with("follow")
                .help("Not what was after"),
            Arg::new("output")
                .short('o')
                .long("output")
                .value_name("text|json")
                .help("How lines are written, as in the flow log [default: text]"),
            Arg::new(SCHEMA)
                .long(SCHEMA)
                .action(ArgAction::SetTrue)
                .exclusive(true)
                .help("Print the JSON Schema of the lines of -o json and of the flow log, and nothing else"),
            Arg::new("socket").long("socket").value_name("PATH").help(format!(
                "The agent's socket [env: {}] [default: {DEFAULT_SOCKET}]",
                variable()
            )),
        ]);
    flows.args(filters::arguments())
}

fn variable() -> String {
    Key::Socket.spec().map(Spec::variable).unwrap_or_default()
}

/// The socket, and what to ask there.
pub(super) fn parse(matches: &ArgMatches) -> Result<(PathBuf, Request), Failure> {
    let now = Timestamp::now();
    let follow = matches.get_flag("follow");
    let since_ns = one(matches, "since", |text| time(text, now))?;
    let last = match one(matches, "last", |text| value::number(text, 0, MOST_LAST))? {
        Some(last) => Some(usize::try_from(last).unwrap_or(usize::MAX)),
        None if since_ns.is_some() => None,
        None if follow => Some(LAST_FOLLOWING),
        None => Some(LAST),
    };
    let format = one(matches, "output", |text| value::choice(text, &FORMATS))?.unwrap_or_default();
    let request = Request {
        command: flows::Command::Flows,
        follow,
        last,
        since_ns,
        until_ns: one(matches, "until", |text| time(text, now))?,
        style: Style { format, colour: terminal::colour_on_stdout() },
        filter: filters::parse(matches)?,
    };
    Ok((socket(matches)?, request))
}

fn socket(matches: &ArgMatches) -> Result<PathBuf, Failure> {
    let path = |text: &str| {
        value::socket(text)?.ok_or_else(|| Wrong::new("is no socket", "give the agent's"))
    };
    if let Some(path) = one(matches, "socket", path)? {
        return Ok(path);
    }
    let variable = variable();
    match environment::text(&|name: &str| std::env::var_os(name), &variable)? {
        Some(text) => path(&text).map_err(|wrong| refusal(&variable, &text, wrong)),
        None => Ok(DEFAULT_SOCKET.into()),
    }
}

/// A time of the past, as a length or on the calendar, in nanoseconds since the Unix epoch.
fn time(text: &str, now: Timestamp) -> Result<i64, Wrong> {
    let time = match text.parse::<Timestamp>() {
        Ok(time) => time,
        Err(_) => SignedDuration::try_from(value::duration(text)?)
            .ok()
            .and_then(|ago| now.checked_sub(ago).ok())
            .unwrap_or(Timestamp::MIN),
    };
    // Nobody observed anything beyond the years that fit.
    Ok(i64::try_from(time.as_nanosecond()).unwrap_or(if time < now { i64::MIN } else { i64::MAX }))
}

/// The value of an argument that may be left out.
fn one<T>(
    matches: &ArgMatches,
    name: &str,
    parse: impl Fn(&str) -> Result<T, Wrong>,
) -> Result<Option<T>, Failure> {
    let text = matches.get_one::<String>(name);
    text.map(|text| parse(text).map_err(|wrong| refusal(&format!("--{name}"), text, wrong)))
        .transpose()
}

pub(super) fn refusal(place: &str, text: &str, Wrong { what, hint }: Wrong) -> Failure {
    Failure::usage(format!("{place}: '{text}' {what}")).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(arguments: &[&str]) -> Result<Request, Failure> {
        let all = ["flows", "--socket", "/x"].iter().chain(arguments);
        let matches = command().try_get_matches_from(all).expect("arguments");
        parse(&matches).map(|(_, request)| request)
    }

    #[test]
    fn how_many() {
        let last = |arguments: &[&str]| asked(arguments).expect("valid").last;
        assert_eq!(last(&[]), Some(20));
        assert_eq!(last(&["-f"]), Some(10));
        assert_eq!(last(&["--since", "5m"]), None);
        assert_eq!(last(&["-f", "--since", "5m"]), None);
        assert_eq!(last(&["-n", "3", "--since", "5m"]), Some(3));
        assert_eq!(last(&["-f", "--last", "0"]), Some(0));
    }

    #[test]
    fn times() {
        let now: Timestamp = "2026-11-24T19:00:00Z".parse().expect("a time");
        let at =
            |text: &str| time(text, now).map(|ns| (ns - 1_795_546_800_000_000_000) / 1_000_000);
        assert_eq!(at("2026-11-24T19:00:00Z"), Ok(0));
        assert_eq!(at("2026-11-24T20:00:01.5+01:00"), Ok(1_500));
        assert_eq!(at("500ms"), Ok(-500));
        assert_eq!(at("1h"), Ok(-3_600_000));
        assert!(at("yesterday").is_err());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (arguments, message) in [
            (&["--not"] as &[&str], "--not: no filter follows"),
            (&["--to", "a", "--not", "-f"], "--not: no filter follows"),
            (&["--not", "--not", "--to", "a"], "--not --not: one of them is too much"),
            (&["--to", ""], "--to: '' is empty"),
            (&["--proto", "tpc"], "--proto: 'tpc' is not a known protocol"),
            (&["--port", "53/udp"], "--port: '53/udp' has the protocol behind the port"),
            (&["--ip", "10.1.2.3/8"], "--ip: '10.1.2.3/8' is an address in the network 10.0.0.0/8"),
            (&["--events", "start,stop"], "--events: 'start,stop' is not known"),
            (&["--last", "-1"], "--last: '-1' is not a whole number"),
            (&["--since", "5"], "--since: '5' has no unit"),
            (&["-o", "xml"], "--output: 'xml' is not known"),
        ] {
            let failure = asked(arguments).map(|_| ()).expect_err("wrong");
            assert_eq!(failure.message(), message, "{arguments:?}");
            assert_eq!(failure.code().code(), 2, "{arguments:?}");
        }
    }
}
