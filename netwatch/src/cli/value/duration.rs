//! Lengths of time: a whole number with a unit.

use std::time::Duration;

use super::Wrong;

/// Units in milliseconds, smallest first.
const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// `500ms`, `15s`, `2m`, `1h`.
pub(crate) fn duration(text: &str) -> Result<Duration, Wrong> {
    const HINT: &str = "give a whole number with a unit, from 100ms to 24h: 500ms, 15s, 2m, 1h";
    within(text, [100, 24 * 3_600_000], HINT)
}

/// The same for what goes on for longer: the age of a file, how long figures stay.
pub(crate) fn age(text: &str) -> Result<Duration, Wrong> {
    const HINT: &str = "give a whole number with a unit, from 1m to 168h: 10m, 1h, 24h";
    within(text, [60_000, 168 * 3_600_000], HINT)
}

fn within(text: &str, [least, most]: [u64; 2], hint: &str) -> Result<Duration, Wrong> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    if digits.is_empty() {
        return Err(Wrong::new("is not a length of time", hint));
    }
    if unit.is_empty() {
        return Err(Wrong::new("has no unit", hint));
    }
    let Some((_, milliseconds)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(Wrong::new("has no known unit", hint));
    };
    match digits.parse::<u64>().ok().and_then(|number| number.checked_mul(*milliseconds)) {
        Some(total) if total < least => Err(Wrong::new("is too short", hint)),
        Some(total) if total <= most => Ok(Duration::from_millis(total)),
        _ => Err(Wrong::new("is too long", hint)),
    }
}

/// The same form, in the largest unit that is exact. For durations that [`duration`] made.
pub(crate) fn show_duration(duration: Duration) -> String {
    let total = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let exact = UNITS
        .iter()
        .rev()
        .find(|(_, milliseconds)| total % milliseconds == 0 && total >= *milliseconds);
    exact.map_or_else(
        || "0s".to_owned(),
        |(unit, milliseconds)| format!("{}{unit}", total / milliseconds),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_bounds() {
        for (text, milliseconds) in [
            ("100ms", 100),
            ("500ms", 500),
            ("15s", 15_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("24h", 86_400_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
            assert_eq!(show_duration(Duration::from_millis(milliseconds)), text);
        }
        for (text, what) in [
            ("", "is not a length of time"),
            ("s", "is not a length of time"),
            ("-5s", "is not a length of time"),
            ("15", "has no unit"),
            ("15 s", "has no known unit"),
            ("1.5s", "has no known unit"),
            ("1d", "has no known unit"),
            ("0s", "is too short"),
            ("99ms", "is too short"),
            ("25h", "is too long"),
            ("99999999999999999999h", "is too long"),
            ("18446744073709551615h", "is too long"),
        ] {
            assert_eq!(
                duration(text).map_err(|wrong| wrong.what),
                Err(what.to_owned()),
                "{text:?}"
            );
        }
        for (text, is_one) in [("1m", true), ("168h", true), ("59s", false), ("169h", false)] {
            assert_eq!(age(text).is_ok(), is_one, "{text}");
        }
        assert_eq!(show_duration(Duration::from_secs(90)), "90s");
        assert_eq!(show_duration(Duration::from_mins(1)), "1m");
    }
}
