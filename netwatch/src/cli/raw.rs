//! Raw values: texts as they were given, each with where it stood. Nothing is checked here.

use std::{fmt, path::PathBuf};

use super::option::{Key, Spec};

/// Where a value stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// On the command line.
    Flag(&'static str),
    /// In an environment variable.
    Environment(String),
    /// In the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// Nowhere.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "flag --{name}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::File { path, line } => write!(f, "file {}:{line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

impl Origin {
    /// How a message about a bad value begins: the place as one would look for it.
    pub(super) fn place(&self, key: Key) -> String {
        match self {
            Self::Flag(name) => format!("--{name}"),
            Self::Environment(name) => name.clone(),
            Self::File { path, line } => format!("{}:{line}: {}", path.display(), key.name()),
            Self::Default => format!("default of {}", key.name()),
        }
    }
}

/// The texts given for one option, at least one unless an empty list was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Given {
    /// The values. One, except for options that can be repeated.
    pub(super) texts: Vec<String>,
    /// Where they stood.
    pub(super) origin: Origin,
}

/// The values of one source, or of all of them merged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Raw {
    values: Vec<(Key, Given)>,
}

impl Raw {
    /// Adds the values of an option.
    pub(super) fn set(&mut self, key: Key, texts: Vec<String>, origin: Origin) {
        self.values.retain(|(have, _)| *have != key);
        self.values.push((key, Given { texts, origin }));
    }

    /// The values of an option, if this source has any.
    pub(super) fn get(&self, key: Key) -> Option<&Given> {
        self.values.iter().find(|(have, _)| *have == key).map(|(_, given)| given)
    }

    /// This layer over another one. A list replaces the list below it, it does not add to it.
    #[must_use]
    pub(super) fn over(mut self, below: Self) -> Self {
        for (key, given) in below.values {
            if self.get(key).is_none() {
                self.values.push((key, given));
            }
        }
        self
    }

    /// The lowest layer.
    pub(super) fn defaults() -> Self {
        let mut raw = Self::default();
        for Spec { key, default, .. } in super::option::OPTIONS {
            let texts = default.iter().map(|text| (*text).to_owned()).collect();
            raw.set(*key, texts, Origin::Default);
        }
        raw
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_layers_win_and_lists_are_replaced() {
        let mut flags = Raw::default();
        flags.set(Key::Interface, vec!["a".into()], Origin::Flag("interface"));
        let mut below = Raw::default();
        below.set(Key::Interface, vec!["b".into(), "c".into()], Origin::Environment("E".into()));
        below.set(Key::SampleRate, vec!["7".into()], Origin::Environment("E".into()));
        let merged = flags.over(below).over(Raw::defaults());
        assert_eq!(
            merged.get(Key::Interface).map(|given| given.texts.clone()),
            Some(vec!["a".to_owned()])
        );
        assert_eq!(
            merged.get(Key::SampleRate).map(|given| given.texts.clone()),
            Some(vec!["7".to_owned()])
        );
        assert_eq!(
            merged.get(Key::MaxFlows).map(|given| given.origin.clone()),
            Some(Origin::Default)
        );
    }
}
