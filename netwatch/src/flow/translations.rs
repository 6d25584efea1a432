//! Translated connections, by the addresses on either side.

use std::{collections::HashMap, sync::Arc};

use crate::model::{FlowKey, Translation};

/// Keys of a generation. Packets of a connection are read two seconds after its first one at the latest; this many
/// connections begin in that time where 8,000 do in each second.
const GENERATION: usize = 32_768;

/// Bounded: the older generation gives way to the next one, but for what a conversation still has.
#[derive(Debug)]
pub(super) struct Translations {
    young: HashMap<FlowKey, Arc<Translation>>,
    old: HashMap<FlowKey, Arc<Translation>>,
    generation: usize,
}

impl Default for Translations {
    fn default() -> Self {
        Self::with_generation(GENERATION)
    }
}

impl Translations {
    fn with_generation(generation: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), generation }
    }

    pub(super) fn find(&self, key: &FlowKey) -> Option<&Arc<Translation>> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// From now on connections with either key are this one.
    pub(super) fn insert(&mut self, translation: &Arc<Translation>) {
        for key in translation.keys() {
            self.remove(&key);
        }
        if self.young.len() >= self.generation {
            let held = |_: &FlowKey, known: &mut Arc<Translation>| is_held(known);
            self.old.retain(held);
            self.old.extend(self.young.drain());
        }
        for key in translation.keys() {
            self.young.insert(key, Arc::clone(translation));
        }
    }

    /// Connections with this key are none that is known.
    pub(super) fn remove(&mut self, key: &FlowKey) {
        let Some(known) = self.find(key).cloned() else { return };
        for key in known.keys() {
            self.young.remove(&key);
            self.old.remove(&key);
        }
    }
}

/// Whether others than its keys have it.
fn is_held(translation: &Arc<Translation>) -> bool {
    Arc::strong_count(translation) > translation.keys().count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Protocol, Socket, Translator};

    fn translation(port: u16) -> Arc<Translation> {
        let socket = |host, port| Socket { address: [172, 17, 0, host].into(), port };
        Arc::new(Translation {
            protocol: Protocol::TCP,
            client: socket(3, port),
            called: socket(1, 8080),
            server: socket(2, 80),
            masked: socket(3, port),
            by: Translator::Kernel,
        })
    }

    #[test]
    fn what_nobody_has_goes_after_two_generations() {
        let mut all = Translations::with_generation(8);
        let kept = translation(1);
        all.insert(&kept);
        all.insert(&translation(2));
        for port in 3..100 {
            all.insert(&translation(port));
        }
        for key in kept.keys() {
            assert_eq!(all.find(&key), Some(&kept));
        }
        assert_eq!(all.find(&translation(2).keys().next().unwrap()), None);
        for key in translation(99).keys() {
            assert!(all.find(&key).is_some());
        }
        assert!(all.young.len() + all.old.len() <= 2 * 8 + 2);
    }

    #[test]
    fn another_connection_of_one_key_takes_both_away() {
        let mut all = Translations::with_generation(8);
        let first = translation(1);
        all.insert(&first);
        let server = Socket { address: [172, 17, 0, 4].into(), port: 80 };
        let second = Translation { server, ..*first };
        all.insert(&Arc::new(second));
        assert_eq!(all.find(&first.keys().last().unwrap()), None);
        all.remove(&second.keys().last().unwrap());
        assert!(all.young.is_empty() && all.old.is_empty());
    }
}
