//! Numbers for people: three digits are enough.

use std::time::Duration;

/// Bytes in SI units: `420B`, `1.2kB`, `12kB`, `999MB`.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if count < 1_000 {
        return format!("{count}B");
    }
    let mut divisor = 1_000;
    for unit in UNITS {
        if let Some(number) = scaled(count.into(), divisor) {
            return format!("{number}{unit}");
        }
        divisor *= 1_000;
    }
    format!("{count}B")
}

/// A duration: `0s`, `84us`, `1.2ms`, `310ms`, `7.0s`, `1m05s`, `2h03m`, `4d01h`.
pub(super) fn duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    if nanos < 1_000 {
        return format!("{nanos}ns");
    }
    for (unit, divisor) in [("us", 1_000), ("ms", 1_000_000)] {
        if let Some(number) = scaled(nanos, divisor) {
            return format!("{number}{unit}");
        }
    }
    let seconds = (nanos + 500_000_000) / 1_000_000_000;
    if seconds < 60 {
        return format!("{}s", scaled(nanos, 1_000_000_000).unwrap_or_default());
    }
    let (minutes, hours) = (seconds / 60, seconds / 3_600);
    match (hours, hours / 24) {
        (0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (_, 0) => format!("{hours}h{:02}m", minutes % 60),
        (_, days) => format!("{days}d{:02}h", hours % 24),
    }
}

/// `number / divisor`, rounded, with one decimal below 10; `None` where it rounds to 1000 or more.
fn scaled(number: u128, divisor: u128) -> Option<String> {
    let tenths = (number * 10 + divisor / 2) / divisor;
    if tenths < 100 {
        return Some(format!("{}.{}", tenths / 10, tenths % 10));
    }
    let whole = (number + divisor / 2) / divisor;
    (whole < 1_000).then(|| whole.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_round_into_the_next_unit() {
        for (count, text) in [
            (0, "0B"),
            (420, "420B"),
            (999, "999B"),
            (1_000, "1.0kB"),
            (1_249, "1.2kB"),
            (9_949, "9.9kB"),
            (9_950, "10kB"),
            (999_499, "999kB"),
            (999_500, "1.0MB"),
            (10_485_760, "10MB"),
            (5_000_000_000, "5.0GB"),
            (u64::MAX, "18EB"),
        ] {
            assert_eq!(bytes(count), text, "{count}");
        }
    }

    #[test]
    fn durations_round_into_the_next_unit() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5us"),
            (84_000, "84us"),
            (999_499, "999us"),
            (999_500, "1.0ms"),
            (310_000_000, "310ms"),
            (7_000_000_000, "7.0s"),
            (59_400_000_000, "59s"),
            (59_500_000_000, "1m00s"),
            (65_000_000_000, "1m05s"),
            (7_380_000_000_000, "2h03m"),
            (349_200_000_000_000, "4d01h"),
        ] {
            assert_eq!(duration(Duration::from_nanos(nanos)), text, "{nanos}");
        }
        assert_eq!(duration(Duration::from_nanos(u64::MAX)), "213503d23h");
    }
}
