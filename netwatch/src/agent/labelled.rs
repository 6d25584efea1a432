//! Containers by name, for the labels of their metrics: those that there are, and those who have gone and whose figures are still
//! there, as they were last. A figure is a name's, and goes on with whoever has it next: a name has one container at a time.

use std::{collections::HashMap, sync::Arc};

use super::forgetting::WORDS;
use crate::{
    identity::Directory,
    model::{Container, Source},
};

/// The containers. None where no label of theirs is asked for.
#[derive(Debug)]
pub(super) struct Labelled {
    is_asked_for: bool,
    /// Shared with the scrapes that are being written.
    containers: Arc<HashMap<Arc<str>, Arc<Container>>>,
}

impl Labelled {
    /// Nobody yet.
    pub(super) fn new(is_asked_for: bool) -> Self {
        Self { is_asked_for, containers: Arc::default() }
    }

    /// Takes up who is there now. What an engine says of a name counts for more than that a namespace has it.
    pub(super) fn learn(&mut self, directory: &Directory) {
        if !self.is_asked_for {
            return;
        }
        for source in [Source::Namespace, Source::Engine] {
            for container in directory.containers().filter(|one| one.source == source) {
                let name = container.name.as_str();
                let is_new =
                    self.containers.get(name).is_none_or(|known| !Arc::ptr_eq(known, container));
                // Under such a name there are figures that are nobody's.
                if is_new && !WORDS.contains(&name) {
                    Arc::make_mut(&mut self.containers).insert(name.into(), Arc::clone(container));
                }
            }
        }
    }

    /// Forgets those of whom nothing is told any more.
    pub(super) fn only(&mut self, is_told: impl Fn(&str) -> bool) {
        if self.containers.keys().any(|name| !is_told(name)) {
            Arc::make_mut(&mut self.containers).retain(|name, _| is_told(name));
        }
    }

    /// For a scrape, and for the next agent.
    pub(super) fn all(&self) -> Arc<HashMap<Arc<str>, Arc<Container>>> {
        Arc::clone(&self.containers)
    }

    /// Goes on with what an earlier agent knew.
    pub(super) fn restore(&mut self, containers: &Arc<HashMap<Arc<str>, Arc<Container>>>) {
        if self.is_asked_for {
            self.containers = Arc::clone(containers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Instant;

    fn container(name: &str, image: &str, source: Source) -> Container {
        Container {
            id: format!("{name} of {image}"),
            name: name.into(),
            image: image.into(),
            project: None,
            service: None,
            attachments: Vec::new(),
            pid: None,
            namespace: None,
            host_network: false,
            shares_with: None,
            published: Vec::new(),
            shared_by: Vec::new(),
            source,
        }
    }

    fn image(labelled: &Labelled, name: &str) -> Option<String> {
        labelled.all().get(name).map(|container| container.image.clone())
    }

    #[test]
    fn who_has_gone_is_as_it_was_last_until_another_has_its_name() {
        let (mut labelled, mut directory) = (Labelled::new(true), Directory::new());
        let mut list = |containers: &[Container]| {
            directory.set_containers(containers, Instant(1));
            labelled.learn(&directory);
            (image(&labelled, "web"), image(&labelled, "db"), image(&labelled, "other"))
        };
        let one = |name: &str, image: &str| container(name, image, Source::Engine);
        let some = |image: &str| Some(image.to_owned());
        let all = [one("web", "nginx:1"), one("db", "postgres"), one("other", "one")];
        assert_eq!(list(&all), (some("nginx:1"), some("postgres"), None), "a word is nobody's");
        assert_eq!(list(&all[1..2]), (some("nginx:1"), some("postgres"), None));
        assert_eq!(list(&[one("web", "nginx:2")]), (some("nginx:2"), some("postgres"), None));
        labelled.only(|name| name == "web");
        assert_eq!((image(&labelled, "db"), labelled.all().len()), (None, 1));
    }

    #[test]
    fn the_engines_word_counts_for_more() {
        let (mut labelled, mut directory) = (Labelled::new(true), Directory::new());
        directory.set_named(&[(container("web", "", Source::Namespace), 7)], Instant(1));
        labelled.learn(&directory);
        assert_eq!(image(&labelled, "web"), Some(String::new()));
        directory.set_containers(&[container("web", "nginx", Source::Engine)], Instant(1));
        for _ in 0..2 {
            labelled.learn(&directory);
            assert_eq!(image(&labelled, "web"), Some("nginx".to_owned()));
        }
    }

    #[test]
    fn the_next_agent_knows_them_if_it_is_asked() {
        let (mut labelled, mut directory) = (Labelled::new(true), Directory::new());
        directory.set_containers(&[container("web", "nginx", Source::Engine)], Instant(1));
        labelled.learn(&directory);
        let written = postcard::to_allocvec(&labelled.all()).unwrap();
        for is_asked_for in [true, false] {
            let mut next = Labelled::new(is_asked_for);
            next.restore(&postcard::from_bytes(&written).unwrap());
            assert_eq!(image(&next, "web").is_some(), is_asked_for);
            next.learn(&directory);
            assert_eq!(next.all().len(), usize::from(is_asked_for));
        }
    }
}
