//! Sizes: a whole number with a unit.

use super::Wrong;

/// Units in bytes, smallest first.
const UNITS: [(&str, u64); 6] = [
    ("kB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
];
const LEAST: u64 = 64_000;
const MOST: u64 = 1_000_000_000_000;
const HINT: &str = "give a whole number with a unit, from 64kB to 1000GB: 500kB, 100MB, 1GiB";

/// `500kB`, `100MB`, `1GiB`.
pub(crate) fn size(text: &str) -> Result<u64, Wrong> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    if digits.is_empty() {
        return Err(Wrong::new("is not a size", HINT));
    }
    if unit.is_empty() {
        return Err(Wrong::new("has no unit", HINT));
    }
    let Some((_, bytes)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(Wrong::new("has no known unit", HINT));
    };
    match digits.parse::<u64>().ok().and_then(|number| number.checked_mul(*bytes)) {
        Some(total) if total < LEAST => Err(Wrong::new("is too small", HINT)),
        Some(total) if total <= MOST => Ok(total),
        _ => Err(Wrong::new("is too large", HINT)),
    }
}

/// The same form, in the largest unit that is exact. For sizes that [`size`] made.
pub(crate) fn show_size(size: u64) -> String {
    let exact = UNITS.iter().rev().find(|(_, bytes)| size.is_multiple_of(*bytes) && size >= *bytes);
    exact.map_or_else(|| size.to_string(), |(unit, bytes)| format!("{}{unit}", size / bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_bounds() {
        for (text, bytes) in [
            ("64kB", 64_000),
            ("63KiB", 64_512),
            ("100MB", 100_000_000),
            ("1MiB", 1_048_576),
            ("1GiB", 1_073_741_824),
            ("1000GB", 1_000_000_000_000),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
            assert_eq!(show_size(bytes), text);
        }
        for (text, what) in [
            ("", "is not a size"),
            ("MB", "is not a size"),
            ("-5MB", "is not a size"),
            ("100", "has no unit"),
            ("100 MB", "has no known unit"),
            ("1.5GB", "has no known unit"),
            ("100mb", "has no known unit"),
            ("1TB", "has no known unit"),
            ("0kB", "is too small"),
            ("63kB", "is too small"),
            ("1001GB", "is too large"),
            ("99999999999999999999GB", "is too large"),
            ("18446744073709551615GB", "is too large"),
        ] {
            assert_eq!(size(text).map_err(|wrong| wrong.what), Err(what.to_owned()), "{text:?}");
        }
    }
}
