//! The arguments of `netwatch flows`, and the request that they make.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};
use jiff::{SignedDuration, Timestamp};

use super::super::{
    Failure, environment,
    option::{DEFAULT_SOCKET, Key, Spec},
    terminal,
    value::{self, Wrong},
};
use crate::{
    model::Protocol,
    serve::flows::{self, Criterion, Filter, Format, Kind, Request, Style, Term},
};

/// Past events that are shown unless told otherwise: a screenful, and with `--follow` enough to see where one is.
const LAST: usize = 20;
const LAST_FOLLOWING: usize = 10;
const MOST_LAST: u32 = 1_000_000_000;

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

/// A filter's flag, its value, its help, and what makes a criterion of the text.
type Row = (&'static str, &'static str, &'static str, fn(&str) -> Result<Criterion, Wrong>);

/// The filters, in the order of the help.
const FILTERS: [Row; 8] = [
    ("container", "GLOB", "Only flows from or to a container with such a name", |text| {
        Ok(Criterion::Container(value::name(text)?.into()))
    }),
    ("from", "GLOB", "Only flows that one with such a name or address began", |text| {
        Ok(Criterion::From(value::name(text)?.into()))
    }),
    ("to", "GLOB", "Only flows to one with such a name or address", |text| {
        Ok(Criterion::To(value::name(text)?.into()))
    }),
    ("network", "GLOB", "Only flows in a network with such a name", |text| {
        Ok(Criterion::Network(value::name(text)?.into()))
    }),
    ("proto", "NAME|NUMBER", "Only flows of this protocol: tcp, udp, icmp, arp, …", |text| {
        Ok(Criterion::Protocol(protocol(text)?.0))
    }),
    ("port", "[PROTO/]PORT", "Only flows with this port at either end", |text| {
        let (of, port) = value::port(text)?;
        Ok(Criterion::Port(of.map(|protocol| protocol.0), port))
    }),
    ("ip", "CIDR", "Only flows with an address of this network at either end", |text| {
        Ok(Criterion::Ip(value::network(text)?))
    }),
    ("events", "WORD,…", "Only these events: start, update, end, lost, sample", |text| {
        text.split(',')
            .map(|word| value::choice(word.trim(), &Kind::WORDS))
            .collect::<Result<_, _>>()
            .map(Criterion::Events)
    }),
];

/// As the filter of `run` has it, and what is not over IP.
fn protocol(text: &str) -> Result<Protocol, Wrong> {
    if text.eq_ignore_ascii_case(&Protocol::ARP.to_string()) {
        return Ok(Protocol::ARP);
    }
    value::protocol(text)
}

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
            Arg::new("last").long("last").short('n').value_name("N").help(
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
            Arg::new("socket").long("socket").value_name("PATH").help(format!(
                "The agent's socket [env: {}] [default: {DEFAULT_SOCKET}]",
                variable()
            )),
        ]);
    let filters = FILTERS.iter().map(|(name, value, help, _)| {
        Arg::new(*name)
            .long(*name)
            .value_name(*value)
            .help_heading("Filters")
            .action(ArgAction::Append)
            .allow_negative_numbers(true)
            .help(*help)
    });
    flows.args(filters).arg(
        Arg::new("not")
            .long("not")
            .help_heading("Filters")
            .action(ArgAction::Append)
            .num_args(0)
            .default_missing_value("true")
            .help("Negate the filter that follows"),
    )
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
        filter: filter(matches)?,
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

/// The filters in the order in which they were given, each with whether `--not` stood before it.
fn filter(matches: &ArgMatches) -> Result<Filter, Failure> {
    let mut given: Vec<(usize, Option<(&Row, &String)>)> =
        matches.indices_of("not").into_iter().flatten().map(|at| (at, None)).collect();
    for row in &FILTERS {
        let places = matches.indices_of(row.0).into_iter().flatten();
        let texts = matches.get_many::<String>(row.0).into_iter().flatten();
        given.extend(places.zip(texts).map(|(at, text)| (at, Some((row, text)))));
    }
    given.sort_by_key(|(at, _)| *at);
    let mut terms = Vec::new();
    let mut not = false;
    for (_, filter) in given {
        let Some(((name, _, _, parse), text)) = filter else {
            if not {
                return Err(Failure::usage("--not --not: one of them is too much"));
            }
            not = true;
            continue;
        };
        let is = parse(text).map_err(|wrong| refusal(&format!("--{name}"), text, wrong))?;
        terms.push(Term { is, not: std::mem::take(&mut not) });
    }
    if not {
        return Err(Failure::usage("--not: no filter follows")
            .hint("it negates the filter behind it: --not --proto udp"));
    }
    Ok(Filter(terms))
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

fn refusal(place: &str, text: &str, Wrong { what, hint }: Wrong) -> Failure {
    Failure::usage(format!("{place}: '{text}' {what}")).hint(hint)
}
