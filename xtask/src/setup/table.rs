//! The table that set-up ends with: each thing, its state, where it is or what brings it.

use std::{fmt, path::Path};

use super::apt::Apt;

/// What became of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// There before, with its version if it tells one.
    Found(String),
    /// There now.
    Installed(String),
    Missing,
}

/// One line of the table.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) thing: &'static str,
    pub(super) state: State,
    /// Where it is, or the command that brings it.
    pub(super) place: String,
    /// The package that would have brought it.
    pub(super) package: &'static str,
}

impl Row {
    pub(super) fn found(thing: &'static str, version: String, place: &Path) -> Self {
        Self {
            thing,
            state: State::Found(version),
            place: place.display().to_string(),
            package: "",
        }
    }

    pub(super) fn missing(thing: &'static str, remedy: String) -> Self {
        Self { thing, state: State::Missing, place: remedy, package: "" }
    }

    /// Missing for a reason that one would not guess.
    pub(super) fn missing_because(thing: &'static str, why: &str, remedy: &str) -> Self {
        let both = [why, remedy].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>();
        Self::missing(thing, both.join(": "))
    }

    /// Names the package it comes from.
    pub(super) fn of(self, package: &'static str) -> Self {
        Self { package, ..self }
    }

    /// Found, because it was just installed.
    pub(super) fn mark_installed(&mut self, apt: &Apt) {
        if let State::Found(version) = &self.state
            && apt.has_installed(self.package)
        {
            self.state = State::Installed(version.clone());
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, more) = match self {
            Self::Found(version) => ("found", version),
            Self::Installed(version) => ("installed", version),
            Self::Missing => return f.write_str("MISSING"),
        };
        if more.is_empty() { f.write_str(word) } else { write!(f, "{word} {more}") }
    }
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) rows: Vec<Row>,
}

impl Table {
    pub(super) fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// The things that are not there.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        self.rows
            .iter()
            .filter(|row| matches!(row.state, State::Missing))
            .map(|row| row.thing)
            .collect()
    }

    /// Everything was simply there.
    pub(super) fn is_plain(&self) -> bool {
        self.rows.iter().all(|row| matches!(row.state, State::Found(_)))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
        let states: Vec<_> = self.rows.iter().map(|row| row.state.to_string()).collect();
        let things = width(&mut self.rows.iter().map(|row| row.thing.chars().count()).chain([5]));
        let wide = width(&mut states.iter().map(|state| state.chars().count()).chain([5]));
        write!(f, "{:things$}  {:wide$}  where", "thing", "state")?;
        for (row, state) in self.rows.iter().zip(&states) {
            write!(f, "\n{:things$}  {state:wide$}  {}", row.thing, row.place)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_the_missing_are_named() {
        let mut table = Table::default();
        table.push(Row::found("bpf-linker", "0.13.0".into(), Path::new("/bin/bpf-linker")));
        assert!(table.is_plain());
        table.push(Row::missing("cc", "apt-get install gcc".into()));
        assert_eq!(table.missing(), ["cc"]);
        assert!(!table.is_plain());
        assert_eq!(
            table.to_string(),
            "\
thing       state         where
bpf-linker  found 0.13.0  /bin/bpf-linker
cc          MISSING       apt-get install gcc"
        );
    }
}
