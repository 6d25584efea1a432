//! Figures as Grafana's units show them.

/// A figure in a unit of a panel.
pub(super) fn shown(value: f64, unit: &str) -> String {
    match unit {
        "s" => seconds(value),
        "percentunit" => format!("{} %", rounded(value * 100.0)),
        "bytes" => scaled(value, 1024.0, &["B", "KiB", "MiB", "GiB"]),
        "Bps" => scaled(value, 1000.0, &["B/s", "kB/s", "MB/s", "GB/s"]),
        "pps" => scaled(value, 1000.0, &["p/s", "kp/s", "Mp/s"]),
        "cps" => scaled(value, 1000.0, &["/s", "k/s", "M/s"]),
        _ => scaled(value, 1000.0, &["", "k", "M", "G"]),
    }
}

fn seconds(value: f64) -> String {
    let (factor, unit) = match value.abs() {
        size if size == 0.0 || size >= 1.0 => (1.0, "s"),
        size if size >= 1e-3 => (1e3, "ms"),
        _ => (1e6, "µs"),
    };
    format!("{} {unit}", rounded(value * factor))
}

fn scaled(value: f64, step: f64, units: &[&str]) -> String {
    let mut value = value;
    let mut units = units.iter();
    let mut unit = units.next();
    while value.abs() >= step {
        let Some(next) = units.next() else { break };
        value /= step;
        unit = Some(next);
    }
    format!("{} {}", rounded(value), unit.copied().unwrap_or_default()).trim_end().to_owned()
}

/// Three digits at most behind a small figure's point, none behind a large one's.
fn rounded(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        for (value, unit, text) in [
            (0.0, "s", "0 s"),
            (0.000_25, "s", "250 µs"),
            (1.5, "s", "1.5 s"),
            (0.123_4, "percentunit", "12.3 %"),
            (3_000_000.0, "Bps", "3 MB/s"),
            (-1_234.0, "Bps", "-1.23 kB/s"),
            (120.0 * 1024.0 * 1024.0, "bytes", "120 MiB"),
            (7.0, "short", "7"),
            (0.05, "cps", "0.05 /s"),
            (-0.000_01, "pps", "0 p/s"),
        ] {
            assert_eq!(shown(value, unit), text);
        }
    }
}
