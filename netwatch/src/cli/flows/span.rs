//! The span that `--since` and `--until` give.

use clap::ArgMatches;
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};

use super::{
    super::{
        Failure,
        value::{self, Wrong},
    },
    ask::{one, refusal},
};

/// Both bounds, in nanoseconds since the Unix epoch.
pub(super) fn parse(
    matches: &ArgMatches,
    now: Timestamp,
    follow: bool,
) -> Result<(Option<i64>, Option<i64>), Failure> {
    let since = one(matches, "since", |text| time(text, now))?;
    let until = one(matches, "until", |text| time(text, now))?;
    let wrong = |name: &str, what: &str, hint: &str| {
        let text = matches.get_one::<String>(name).cloned().unwrap_or_default();
        Err(refusal(&format!("--{name}"), &text, Wrong::new(what, hint)))
    };
    if since.is_some_and(|since| since > now) && !follow {
        return wrong(
            "since",
            "is still to come",
            "give a time that has been, such as 5m (ago), or add --follow",
        );
    }
    if until.is_some_and(|until| until <= now) && follow {
        return wrong(
            "until",
            "has been already, and --follow goes on from now",
            "give a time to come, such as +5m (from now), or leave out --follow",
        );
    }
    if let (Some(since), Some(until)) = (since, until)
        && until < since
    {
        return wrong("until", "is before --since", "exchange them: --since is the earlier one");
    }
    Ok((since.map(ns), until.map(ns)))
}

/// A time as a length ago, as a length from now, or on the calendar; without an offset, in the local zone.
fn time(text: &str, now: Timestamp) -> Result<Timestamp, Wrong> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if let Ok(time) = text.parse::<DateTime>()
        && let Ok(time) = TimeZone::system().to_timestamp(time)
    {
        return Ok(time);
    }
    let (length, is_to_come) = match text.strip_prefix('+') {
        Some(length) => (length, true),
        None => (text, false),
    };
    // It is short enough for every calendar.
    let length = SignedDuration::try_from(value::duration(length)?).unwrap_or_default();
    let time = if is_to_come { now.checked_add(length) } else { now.checked_sub(length) };
    Ok(time.unwrap_or(now))
}

/// Nobody observed anything beyond the years that fit.
fn ns(time: Timestamp) -> i64 {
    let ns = time.as_nanosecond();
    i64::try_from(ns).unwrap_or(if ns < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::{super::arguments::command, *};

    const NOW: &str = "2026-11-24T19:00:00Z";

    fn now() -> Timestamp {
        NOW.parse().expect("a time")
    }

    #[test]
    fn times() {
        let at = |text: &str| {
            time(text, now()).map(|time| (ns(time) - 1_795_546_800_000_000_000) / 1_000_000)
        };
        assert_eq!(at(NOW), Ok(0));
        assert_eq!(at("2026-11-24T20:00:01.5+01:00"), Ok(1_500));
        assert_eq!(at("500ms"), Ok(-500));
        assert_eq!(at("1h"), Ok(-3_600_000));
        assert_eq!(at("+1h"), Ok(3_600_000));
        let local = TimeZone::system().to_datetime(now());
        assert_eq!(at(&local.to_string()), Ok(0));
        for text in ["yesterday", "+", "++1h", "-1h", ""] {
            assert!(at(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn spans_that_nothing_can_be_in_are_refused() {
        let parse = |arguments: &[&str], follow| {
            let all = ["flows"].iter().chain(arguments);
            let matches = command().try_get_matches_from(all).expect("arguments");
            parse(&matches, now(), follow).map_err(|failure| failure.message().to_owned())
        };
        let before = ["--since", "5m", "--until", "10m"];
        assert_eq!(parse(&before, false), Err("--until: '10m' is before --since".into()));
        assert!(parse(&["--since", "5m", "--until", "5m"], false).is_ok(), "an instant");
        assert_eq!(
            parse(&["--since", "+5m"], false),
            Err("--since: '+5m' is still to come".into())
        );
        assert!(parse(&["--since", "+5m"], true).is_ok());
        assert_eq!(
            parse(&["--until", "5m"], true),
            Err("--until: '5m' has been already, and --follow goes on from now".into())
        );
        assert!(parse(&["--until", "+5m"], true).is_ok());
        assert!(parse(&["--until", "+5m"], false).is_ok());
    }
}
