//! Names of kernels: the series that is asked for, and the releases that the archive has of it.

use std::{cmp::Ordering, fmt, str::FromStr};

/// What all packages of an ordinary small kernel end in.
const FLAVOUR: &str = "-cloud-amd64";
const PACKAGE: &str = "linux-image-";

/// The series of the matrix: on either side of each change that matters (TCX in 6.6), the oldest and the newest.
const MATRIX: [(u64, u64); 6] = [(5, 10), (6, 1), (6, 12), (6, 18), (7, 2), (7, 3)];

/// Which kernels one asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Series {
    /// Major and minor number.
    Number(u64, u64),
    /// The newest that the archive has.
    Newest,
}

/// A kernel as it calls itself, `6.1.0-56-cloud-amd64`, ordered by the numbers in its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Release(String);

impl Series {
    pub(super) fn matrix() -> Vec<Self> {
        MATRIX.map(|(major, minor)| Self::Number(major, minor)).to_vec()
    }

    /// The newest release of it among these packages.
    pub(super) fn newest(self, packages: &[String]) -> Option<Release> {
        let releases = packages.iter().filter_map(|package| Release::of_package(package));
        releases.filter(|release| release.is_of(self)).max()
    }
}

impl FromStr for Series {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "newest" {
            return Ok(Self::Newest);
        }
        let numbers = text.split_once('.').and_then(|(major, minor)| {
            Some(Self::Number(major.parse().ok()?, minor.parse().ok()?))
        });
        numbers.ok_or_else(|| "a series is like 6.12, or `newest`".into())
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(major, minor) => write!(f, "{major}.{minor}"),
            Self::Newest => f.write_str("newest"),
        }
    }
}

impl Release {
    /// `linux-image-6.1.0-56-cloud-amd64`; not the empty packages that depend on the newest of a series.
    fn of_package(package: &str) -> Option<Self> {
        let release = Self(package.strip_prefix(PACKAGE)?.into());
        let numbers = release.0.strip_suffix(FLAVOUR)?;
        (numbers.starts_with(|c: char| c.is_ascii_digit()) && release.numbers().len() > 2)
            .then_some(release)
    }

    fn is_of(&self, series: Series) -> bool {
        match series {
            Series::Number(major, minor) => self.numbers().starts_with(&[major, minor]),
            Series::Newest => true,
        }
    }

    /// The packages that it is in, as far as they are there: up to 6.18 one, later the image is empty and depends on others.
    pub(super) fn packages(&self, there: &[String]) -> Vec<String> {
        let of = |kind: &str| format!("linux-{kind}-{self}");
        let parts = [of("binary"), of("modules")];
        let parts: Vec<_> = parts.into_iter().filter(|part| there.contains(part)).collect();
        if parts.is_empty() { vec![of("image")] } else { parts }
    }

    /// Major and minor number, for the head of a column.
    pub(super) fn series(&self) -> String {
        self.numbers().iter().take(2).map(u64::to_string).collect::<Vec<_>>().join(".")
    }

    fn numbers(&self) -> Vec<u64> {
        let text = self.0.strip_suffix(FLAVOUR).unwrap_or(&self.0);
        text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Ord for Release {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers().cmp(&other.numbers()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Release {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Vec<String> {
        [
            "linux-image-6.1-cloud-amd64",
            "linux-image-cloud-amd64",
            "linux-image-6.1.0-0.deb11.52-cloud-amd64",
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-56-cloud-amd64",
            "linux-image-6.1.0-57-amd64",
            "linux-image-6.12.117+deb12-cloud-amd64",
            "linux-image-7.3.4+deb13-cloud-amd64",
            "linux-binary-7.3.4+deb13-cloud-amd64",
            "linux-modules-7.3.4+deb13-cloud-amd64",
        ]
        .map(String::from)
        .to_vec()
    }

    fn newest(series: &str) -> Option<String> {
        series.parse::<Series>().unwrap().newest(&archive()).map(|release| release.to_string())
    }

    #[test]
    fn the_newest_of_a_series_is_found_by_its_numbers() {
        assert_eq!(newest("6.1").as_deref(), Some("6.1.0-56-cloud-amd64"));
        assert_eq!(newest("6.12").as_deref(), Some("6.12.117+deb12-cloud-amd64"));
        assert_eq!(newest("newest").as_deref(), Some("7.3.4+deb13-cloud-amd64"));
        assert_eq!(newest("6.11"), None);
    }

    #[test]
    fn a_release_knows_its_packages_and_its_series() {
        let of = |series: &str| series.parse::<Series>().unwrap().newest(&archive()).unwrap();
        assert_eq!(of("6.1").packages(&archive()), ["linux-image-6.1.0-56-cloud-amd64"]);
        let split = of("7.3").packages(&archive());
        assert_eq!(split, archive()[8..]);
        assert_eq!(of("newest").series(), "7.3");
    }

    #[test]
    fn what_is_no_series_is_refused() {
        for text in ["", "6", "6.", "v6.1", "6.1.0", "oldest"] {
            assert!(text.parse::<Series>().is_err(), "{text}");
        }
    }
}
