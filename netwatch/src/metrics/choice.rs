//! Which labels the metrics of containers have: more than the catalogue says of each of them, or one fewer.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::catalogue::Entry;
use crate::model::Container;

/// Containers by their names.
pub(super) type Known = Arc<HashMap<Arc<str>, Arc<Container>>>;

/// A label that is there for whoever asks for it. The names are those of netwatch_container_info.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContainerLabel {
    /// The engine's identifier.
    Id,
    /// The image.
    Image,
    /// Compose project.
    Project,
    /// Compose service.
    Service,
}

impl ContainerLabel {
    /// All of them, in the order in which they are written.
    pub const ALL: [Self; 4] = [Self::Id, Self::Image, Self::Project, Self::Service];

    /// The name of the label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Image => "image",
            Self::Project => "project",
            Self::Service => "service",
        }
    }

    fn of(self, container: &Container) -> &str {
        match self {
            Self::Id => &container.id,
            Self::Image => &container.image,
            Self::Project => container.project.as_deref().unwrap_or_default(),
            Self::Service => container.service.as_deref().unwrap_or_default(),
        }
    }
}

/// `--metrics.labels`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelChoice {
    /// Labels that are added.
    pub more: BTreeSet<ContainerLabel>,
    /// Whether `network` is left out.
    pub no_network: bool,
}

impl LabelChoice {
    /// Whether the catalogue has it all.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let more = self.more.union(&other.more).copied().collect();
        Self { more, no_network: self.no_network || other.no_network }
    }

    /// Names of a metric's labels.
    pub(super) fn names(&self, entry: &Entry) -> Vec<&'static str> {
        self.arrange(entry, entry.labels, |_, label| label.name())
    }

    /// The values, of those in the catalogue.
    pub(super) fn values<'a>(
        &self,
        entry: &Entry,
        values: &[&'a str],
        known: &'a HashMap<Arc<str>, Arc<Container>>,
    ) -> Vec<&'a str> {
        self.arrange(entry, values, |container, label| {
            known.get(container).map_or("", |container| label.of(container))
        })
    }

    /// What is added stands behind the container that it is about.
    fn arrange<'a>(
        &self,
        entry: &Entry,
        texts: &[&'a str],
        more: impl Fn(&'a str, ContainerLabel) -> &'a str,
    ) -> Vec<&'a str> {
        let has_choice = entry.has_choice();
        let mut all = Vec::with_capacity(texts.len() + self.more.len());
        for (name, text) in entry.labels.iter().zip(texts) {
            if !(has_choice && self.no_network && *name == "network") {
                all.push(*text);
            }
            if has_choice && *name == "container" {
                all.extend(self.more.iter().map(|label| more(text, *label)));
            }
        }
        all
    }
}
