//! Which metrics the tests have seen with a figure that is not zero, on a real agent: each of the catalogue has to be among
//! them. What nobody has ever seen move may be counted wrongly, or not at all.

use std::{collections::HashSet, fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::workspace::{root, target};

/// Tells the tests where to note them (`netwatch/tests/support/seen.rs`).
pub(crate) const VARIABLE: &str = "NETWATCH_TEST_SEEN";

/// The catalogue as it is published; a test of netwatch's keeps it fresh.
const CATALOGUE: &str = "docs/metrics.md";

/// What moves in a real agent only after half a minute: `a_client_that_never_reads_is_cut_off` of the room `serve` sees it, with less
/// patience.
const SEEN_IN_UNITS: [&str; 1] = ["netwatch_web_answers_cut_total"];

/// A file of names, one a line. Made here, so that it is ours also where root runs the tests.
pub(crate) struct Seen(pub(crate) PathBuf);

impl Seen {
    pub(crate) fn begin() -> Result<Self> {
        let file = target().join("metrics-seen");
        fs::write(&file, "").with_context(|| format!("making {}", file.display()))?;
        Ok(Self(file))
    }

    /// That they are all there.
    pub(crate) fn check(&self) -> Result<()> {
        let read = |file: &PathBuf| {
            fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))
        };
        let mut missing = missing(&read(&root().join(CATALOGUE))?, &read(&self.0)?)?;
        missing.retain(|name| !SEEN_IN_UNITS.contains(&name.as_str()));
        ensure!(
            missing.is_empty(),
            "no test has seen a figure but 0 of {}: write one that makes it move",
            missing.join(", ")
        );
        Ok(())
    }
}

/// The metrics of the catalogue that are not among those that were seen. A histogram is seen by its count.
fn missing(catalogue: &str, seen: &str) -> Result<Vec<String>> {
    let seen: HashSet<&str> = seen.lines().collect();
    let rows = catalogue.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let metrics = rows.filter_map(|(name, rest)| {
        let kind = rest.split(' ').next()?;
        let suffix = match kind {
            "counter" | "gauge" => "",
            "histogram" => "_count",
            _ => return None,
        };
        Some(format!("{name}{suffix}"))
    });
    let metrics: Vec<_> = metrics.collect();
    ensure!(!metrics.is_empty(), "{CATALOGUE} has no metrics");
    Ok(metrics.into_iter().filter(|name| !seen.contains(name.as_str())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
| metric | type | labels | series | meaning |
|---|---|---|---|---|
| `a_total` | counter | `x` | 1 | A. |
| `b_seconds` | histogram | | 1 | B. |
| `c` | gauge | | 1 | C. |

| `fragment` | a reason, and no metric |
";

    #[test]
    fn what_was_not_seen_is_named() {
        assert_eq!(missing(PAGE, "a_total\nb_seconds_count\nc\nd\n").unwrap(), [""; 0]);
        let none = ["a_total", "b_seconds_count", "c"];
        assert_eq!(missing(PAGE, "").unwrap(), none);
        assert_eq!(missing(PAGE, "a\nb_seconds\nb_seconds_bucket\nc_total\n").unwrap(), none);
    }

    #[test]
    fn the_published_catalogue_is_understood() {
        let page = fs::read_to_string(root().join(CATALOGUE)).unwrap();
        let all = missing(&page, "").unwrap();
        for name in ["netwatch_flows_active", "netwatch_attach_seconds_count", "process_open_fds"] {
            assert!(all.iter().any(|one| one == name), "{name}: {all:?}");
        }
        assert!(all.len() > 70, "{all:?}");
        assert!(missing("", "").is_err());
    }
}
