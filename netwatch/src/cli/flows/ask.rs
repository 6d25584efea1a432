//! What the arguments of `netwatch flows` ask for, and of whom.

use std::path::PathBuf;

use clap::{ArgMatches, parser::ValueSource};
use jiff::Timestamp;

use super::{
    super::{
        Failure, environment,
        option::DEFAULT_SOCKET,
        terminal,
        value::{self, Wrong},
    },
    arguments::variable,
    filters, span,
};
use crate::serve::flows::{
    self, Criterion, Filter, Format, Kind, Order, Ranking, Request, Style, Term,
};

/// Past events that are shown unless told otherwise: a screenful, and with `--follow` enough to see where one is.
const LAST: usize = 20;
const LAST_FOLLOWING: usize = 10;
/// Before they are folded: many of them are one line.
const LAST_FOLDED: usize = 1_000;
const MOST_LAST: u32 = 1_000_000_000;
/// Flows that are shown unless told otherwise.
const TOP: usize = 20;
/// For a screen as high as there are any.
const TOP_WATCHED: usize = 200;

const FORMATS: [(&str, Format); 4] =
    [("text", Format::Text), ("wide", Format::Wide), ("json", Format::Json), ("csv", Format::Csv)];

/// Two arguments that contradict each other, and what to do.
const CONTRADICTIONS: [(&str, &str, &str); 14] = [
    ("watch", "follow", "--watch goes on by itself: leave out --follow"),
    ("watch", "last", "--top N says how many flows to watch"),
    ("watch", "until", "--watch shows what is now: leave out one of them"),
    ("watch", "file", "a file does not change by itself: use --top without --watch"),
    ("follow", "sort", "use --watch, which sorts again and again, instead of --follow"),
    ("follow", "top", "use --watch, which ranks again and again, instead of --follow"),
    ("follow", "file", "ask the agent that writes the file: leave out --file"),
    ("last", "sort", "--top N says how many flows to show"),
    ("last", "top", "--last is about events, --top about flows: leave out one of them"),
    ("fold", "sort", "--fold is about events, --sort about flows: leave out one of them"),
    ("fold", "top", "--fold is about events, --top about flows: leave out one of them"),
    ("watch", "fold", "use --follow to see short flows folded"),
    ("file", "socket", "events come from files or from an agent: leave out one of them"),
    (
        "watch",
        "output",
        "--watch shows lines for people: leave out --watch, or give -o text or wide",
    ),
];

/// Who is asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Whom {
    /// The agent at this socket.
    Agent {
        /// The socket's file.
        socket: PathBuf,
        /// Whether the arguments name it: then nothing else will do.
        is_named: bool,
    },
    /// Flow logs; `-` is standard input.
    Files(Vec<PathBuf>),
}

/// Everything that is asked for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) whom: Whom,
    pub(super) request: Request,
    /// On the screen, again and again.
    pub(super) watch: bool,
    /// It is about the past only, which nobody but an agent that runs knows of.
    pub(super) is_past: bool,
}

/// Checks everything.
pub(super) fn parse(matches: &ArgMatches) -> Result<Asked, Failure> {
    let now = Timestamp::now();
    let watch = matches.get_flag("watch");
    let format = one(matches, "output", |text| value::choice(text, &FORMATS))?.unwrap_or_default();
    contradictions(matches, format)?;
    if watch && !terminal::is_terminal() {
        return Err(Failure::usage("--watch: standard output is no terminal")
            .hint("use --top for the largest flows, or --follow for events as they come"));
    }
    let follow = matches.get_flag("follow") || watch;
    let filter = filters::parse(matches)?;
    let rank = ranking(matches, watch, &filter)?;
    let (since_ns, until_ns) = span::parse(matches, now, follow)?;
    let whom = whom(matches)?;
    let fold = one(matches, "fold", value::duration)?;
    let last = match one(matches, "last", |text| value::number(text, 0, MOST_LAST))? {
        Some(last) => Some(usize::try_from(last).unwrap_or(usize::MAX)),
        None if rank.is_some() || since_ns.is_some() || matches!(whom, Whom::Files(_)) => None,
        None if fold.is_some() => Some(LAST_FOLDED),
        None if follow => Some(LAST_FOLLOWING),
        None => Some(LAST),
    };
    let is_given = |name| is_given(matches, name);
    let request = Request {
        command: flows::Command::Flows,
        follow,
        last,
        rank,
        fold_ns: fold.map(|within| u64::try_from(within.as_nanos()).unwrap_or(u64::MAX)),
        since_ns,
        until_ns,
        style: Style { format, colour: terminal::colour_on_stdout() },
        filter,
    };
    let is_past =
        !follow && (rank.is_some() || ["last", "since", "until"].into_iter().any(is_given));
    Ok(Asked { whom, request, watch, is_past })
}

/// Whether an argument was given, of those that may be left out.
pub(super) fn is_given(matches: &ArgMatches, name: &str) -> bool {
    matches.value_source(name) == Some(ValueSource::CommandLine)
}

fn contradictions(matches: &ArgMatches, format: Format) -> Result<(), Failure> {
    let is_for_people = matches!(format, Format::Text | Format::Wide);
    let both = |(one, other, _): &&(&str, &str, &str)| {
        is_given(matches, one) && is_given(matches, other) && (*other != "output" || !is_for_people)
    };
    match CONTRADICTIONS.iter().find(both) {
        Some((one, other, hint)) => {
            Err(Failure::usage(format!("--{one} and --{other} exclude each other")).hint(*hint))
        }
        None => Ok(()),
    }
}

fn ranking(matches: &ArgMatches, watch: bool, filter: &Filter) -> Result<Option<Ranking>, Failure> {
    let most = u32::try_from(Ranking::MOST).unwrap_or(u32::MAX);
    let sort = one(matches, "sort", |text| value::choice(text, &Order::WORDS))?;
    let top = one(matches, "top", |text| value::number(text, 1, most))?;
    if sort.is_none() && top.is_none() && !watch {
        return Ok(None);
    }
    let is_of_flows =
        |kind: &Kind| matches!(kind, Kind::Start | Kind::Update | Kind::End | Kind::Drop);
    let asked: Vec<&Kind> = filter
        .0
        .iter()
        .filter_map(|Term { is, not }| match is {
            Criterion::Events(kinds) if !not => Some(kinds),
            _ => None,
        })
        .flatten()
        .collect();
    if !asked.is_empty() && !asked.into_iter().any(is_of_flows) {
        return Err(Failure::usage("--events: --sort, --top and --watch are about flows")
            .hint("give start, update, end or drop, or leave out --events"));
    }
    let otherwise = if watch { TOP_WATCHED } else { TOP };
    let top = top.map_or(otherwise, |top| usize::try_from(top).unwrap_or(Ranking::MOST));
    Ok(Some(Ranking { sort: sort.unwrap_or(Order::Bytes), top }))
}

fn whom(matches: &ArgMatches) -> Result<Whom, Failure> {
    if let Some(files) = matches.get_many::<String>("file") {
        let files: Vec<PathBuf> = files.map(PathBuf::from).collect();
        if files.iter().filter(|file| file.as_os_str() == "-").count() > 1 {
            return Err(Failure::usage("--file: '-' is given twice")
                .hint("standard input can be read once"));
        }
        if let Some(empty) = files.iter().find(|file| file.as_os_str().is_empty()) {
            let text = empty.to_string_lossy();
            return Err(refusal(
                "--file",
                &text,
                Wrong::new("is empty", "give the path of a file"),
            ));
        }
        return Ok(Whom::Files(files));
    }
    let path = |text: &str| {
        value::socket(text)?.ok_or_else(|| Wrong::new("is no socket", "give the agent's"))
    };
    if let Some(socket) = one(matches, "socket", path)? {
        return Ok(Whom::Agent { socket, is_named: true });
    }
    let variable = variable();
    let socket = match environment::text(&|name: &str| std::env::var_os(name), &variable)? {
        Some(text) => path(&text).map_err(|wrong| refusal(&variable, &text, wrong))?,
        None => DEFAULT_SOCKET.into(),
    };
    Ok(Whom::Agent { socket, is_named: false })
}

/// The value of an argument that may be left out.
pub(super) fn one<T>(
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
    use super::{super::arguments::command, *};

    fn asked(arguments: &[&str]) -> Result<Asked, Failure> {
        let all = ["flows"].iter().chain(arguments);
        let matches = command().try_get_matches_from(all).expect("arguments");
        parse(&matches)
    }

    #[test]
    fn how_many() {
        let last = |arguments: &[&str]| asked(arguments).expect("valid").request.last;
        assert_eq!(last(&["--socket", "/x"]), Some(20));
        assert_eq!(last(&["--socket", "/x", "-f"]), Some(10));
        assert_eq!(last(&["--socket", "/x", "--since", "5m"]), None);
        assert_eq!(last(&["--socket", "/x", "-f", "--since", "5m"]), None);
        assert_eq!(last(&["--socket", "/x", "-n", "3", "--since", "5m"]), Some(3));
        assert_eq!(last(&["--socket", "/x", "-f", "--last", "0"]), Some(0));
        assert_eq!(last(&["--socket", "/x", "--top", "3"]), None);
        assert_eq!(last(&["--socket", "/x", "--fold"]), Some(1_000));
        assert_eq!(last(&["--socket", "/x", "-f", "--fold", "1s"]), Some(1_000));
        assert_eq!(last(&["--socket", "/x", "-f", "--fold", "-n", "5"]), Some(5));
        assert_eq!(last(&["--file", "x"]), None);
        assert_eq!(last(&["--file", "x", "-n", "3"]), Some(3));
    }

    #[test]
    fn within_what_time_is_folded() {
        let fold = |arguments: &[&str]| asked(arguments).expect("valid").request.fold_ns;
        assert_eq!(fold(&["--file", "x"]), None);
        assert_eq!(fold(&["--fold", "--file", "x"]), Some(5_000_000_000));
        assert_eq!(fold(&["--file", "x", "--fold", "200ms"]), Some(200_000_000));
        assert_eq!(fold(&["--file", "x", "--fold", "--not", "--port", "1"]), Some(5_000_000_000));
    }

    #[test]
    fn rankings() {
        let rank = |arguments: &[&str]| asked(arguments).expect("valid").request.rank;
        let of = |sort, top| Some(Ranking { sort, top });
        assert_eq!(rank(&["--file", "x"]), None);
        assert_eq!(rank(&["--file", "x", "--top", "3"]), of(Order::Bytes, 3));
        assert_eq!(rank(&["--file", "x", "--sort", "drops"]), of(Order::Drops, 20));
        let both = ["--file", "x", "--sort", "time", "--top", "1000"];
        assert_eq!(rank(&both), of(Order::Time, 1_000));
    }

    #[test]
    fn only_an_agent_knows_the_past() {
        let is_past = |arguments: &[&str]| asked(arguments).expect("valid").is_past;
        assert!(!is_past(&["--socket", "/x"]));
        assert!(!is_past(&["--socket", "/x", "-f", "--since", "5m"]));
        for one in [["--since", "5m"], ["--until", "5m"], ["--last", "5"], ["--top", "5"]] {
            assert!(is_past(&one), "{one:?}");
        }
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
            (&["--events", "start,stop"], "--events: 'start,stop' has an unknown word: 'stop'"),
            (&["--last", "-1"], "--last: '-1' is not a whole number"),
            (&["--since", "5"], "--since: '5' has no unit"),
            (&["--fold", "5"], "--fold: '5' has no unit"),
            (&["-o", "xml"], "--output: 'xml' is not known"),
            (&["--sort", "size"], "--sort: 'size' is not known"),
            (&["--top", "0"], "--top: '0' is too small"),
            (&["--top", "1001"], "--top: '1001' is too large"),
            (
                &["--events", "dns", "--top", "3"],
                "--events: --sort, --top and --watch are about flows",
            ),
            (&["--file", "-", "--file", "-"], "--file: '-' is given twice"),
            (&["--file", ""], "--file: '' is empty"),
            (&["--watch"], "--watch: standard output is no terminal"),
        ] {
            let failure = asked(arguments).map(|_| ()).expect_err("wrong");
            assert_eq!(failure.message(), message, "{arguments:?}");
            assert_eq!(failure.code().code(), 2, "{arguments:?}");
        }
    }

    #[test]
    fn as_many_filters_as_an_agent_takes() {
        let filters = |count| {
            asked(
                &["--socket", "/x"]
                    .into_iter()
                    .chain(std::iter::repeat_n("--port=1", count))
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(filters(64).expect("valid").request.filter.0.len(), 64);
        let failure = filters(65).map(|_| ()).expect_err("too many");
        assert_eq!(failure.message(), "more than 64 filters");
        assert_eq!(failure.code().code(), 2);
    }

    #[test]
    fn contradictions_say_what_to_do() {
        for (one, other, hint) in CONTRADICTIONS {
            let mut arguments = Vec::new();
            for name in [one, other] {
                arguments.push(format!("--{name}"));
                match name {
                    "watch" | "follow" => {}
                    "sort" => arguments.push("bytes".into()),
                    "output" => arguments.push("json".into()),
                    "fold" => arguments.push("1s".into()),
                    "until" => arguments.push("1m".into()),
                    _ => arguments.push("1".into()),
                }
            }
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let failure = asked(&arguments).map(|_| ()).expect_err("a contradiction");
            assert_eq!(failure.message(), format!("--{one} and --{other} exclude each other"));
            assert_eq!(failure.remedy(), Some(hint));
        }
    }
}
