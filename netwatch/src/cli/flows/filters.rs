//! The vocabulary of filters: arguments, and the filter that they make.

use clap::{Arg, ArgAction, ArgMatches};

use super::{
    super::{
        Failure,
        value::{self, Wrong},
    },
    ask::refusal,
};
use crate::{
    model::Protocol,
    serve::flows::{Criterion, Filter, Kind, Term},
};

/// A filter's flag, its value, its help, and what makes a criterion of the text.
type Row = (&'static str, &'static str, &'static str, fn(&str) -> Result<Criterion, Wrong>);

/// The filters, in the order of the help.
const FILTERS: [Row; 10] = [
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
    ("service", "GLOB", "Only flows from or to a container of such a Compose service", |text| {
        Ok(Criterion::Service(value::name(text)?.into()))
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
    (
        "id",
        "N",
        "Only the flow with this number: `flow_id` in JSON and in the exemplars of metrics",
        |text| {
            let wrong = || {
                Wrong::new(
                    "is not the number of a flow",
                    "give the flow_id of a line in JSON, or of an exemplar",
                )
            };
            text.parse().map(Criterion::Flow).map_err(|_| wrong())
        },
    ),
    (
        "events",
        "WORD,…",
        "Only these events: start, update, end, drop, lost, dns, sample, event, restart, gap",
        events,
    ),
];

/// One word, or several between commas.
fn events(text: &str) -> Result<Criterion, Wrong> {
    let one = |word: &str| {
        value::choice(word, &Kind::WORDS).map_err(|wrong| {
            if text == word {
                return wrong;
            }
            Wrong::new(format!("has an unknown word: '{word}'"), wrong.hint)
        })
    };
    text.split(',').map(|word| one(word.trim())).collect::<Result<_, _>>().map(Criterion::Events)
}

/// As the filter of `run` has it, and what is not over IP.
fn protocol(text: &str) -> Result<Protocol, Wrong> {
    if text.eq_ignore_ascii_case(&Protocol::ARP.to_string()) {
        return Ok(Protocol::ARP);
    }
    value::protocol(text)
}

/// The arguments.
pub(super) fn arguments() -> impl Iterator<Item = Arg> {
    let filters = FILTERS.iter().map(|(name, value, help, _)| {
        Arg::new(*name)
            .long(*name)
            .value_name(*value)
            .help_heading("Filters")
            .action(ArgAction::Append)
            .allow_negative_numbers(true)
            .help(*help)
    });
    filters.chain([Arg::new("not")
        .long("not")
        .help_heading("Filters")
        .action(ArgAction::Append)
        .num_args(0)
        .default_missing_value("true")
        .help("Negate the filter that follows")])
}

/// The filters in the order in which they were given, each with whether `--not` stood before it.
pub(super) fn parse(matches: &ArgMatches) -> Result<Filter, Failure> {
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
    if terms.len() > Filter::MOST {
        return Err(Failure::usage(format!("more than {} filters", Filter::MOST))
            .hint("give one pattern for several names, such as '{web,db}' or 'web*'"));
    }
    if not {
        return Err(Failure::usage("--not: no filter follows")
            .hint("it negates the filter behind it: --not --proto udp"));
    }
    Ok(Filter(terms))
}

#[cfg(test)]
mod tests {
    use clap::Command;
    use serde_json::{Value, json};

    use super::*;

    fn filter(arguments: &[&str]) -> Filter {
        let command = Command::new("flows")
            .args(super::arguments())
            .arg(Arg::new("f").short('f').action(ArgAction::SetTrue));
        let all = ["flows"].iter().chain(arguments);
        parse(&command.try_get_matches_from(all).expect("arguments")).expect("valid")
    }

    fn filter_of(arguments: &[&str]) -> Value {
        serde_json::to_value(filter(arguments)).expect("JSON")
    }

    #[test]
    fn each_filter_in_its_place() {
        let given = [
            ["--container", "web*"],
            ["--from", "10.0.0.1"],
            ["--to", "host"],
            ["--network", "shop"],
            ["--service", "shop/web"],
            ["--proto", "ARP"],
            ["--port", "udp/53"],
            ["--ip", "10.0.0.0/8"],
            ["--id", "4711"],
            ["--events", "start, drop"],
        ];
        let expected = json!([
            {"is": {"container": "web*"}, "not": false},
            {"is": {"from": "10.0.0.1"}, "not": false},
            {"is": {"to": "host"}, "not": false},
            {"is": {"network": "shop"}, "not": false},
            {"is": {"service": "shop/web"}, "not": false},
            {"is": {"protocol": 0x0806}, "not": false},
            {"is": {"port": [17, 53]}, "not": false},
            {"is": {"ip": "10.0.0.0/8"}, "not": false},
            {"is": {"flow": 4711}, "not": false},
            {"is": {"events": ["start", "drop"]}, "not": false},
        ]);
        assert_eq!(filter_of(given.as_flattened()), expected);
        assert_eq!(given.len(), FILTERS.len(), "one of each");
    }

    #[test]
    fn not_is_about_the_next_filter_whatever_stands_between() {
        let nots = |arguments: &[&str]| -> Vec<bool> {
            filter(arguments).0.iter().map(|term| term.not).collect()
        };
        assert_eq!(
            nots(&["--port", "1", "--not", "--port", "2", "--port", "3"]),
            [false, true, false]
        );
        assert_eq!(
            nots(&["--not", "--to", "a", "--from=b", "--not", "--to=c"]),
            [true, false, true]
        );
        assert_eq!(nots(&["--not", "-f", "--port", "1", "--proto", "tcp"]), [true, false]);
    }
}
