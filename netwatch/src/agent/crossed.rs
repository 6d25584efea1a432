//! Names of the interfaces that flows crossed. Most crossed the same few, so they share them.

use std::{collections::HashMap, sync::Arc};

use smallvec::SmallVec;

use crate::{
    identity::Directory,
    model::{FlowRecord, Interfaces},
};

/// Indexes of interfaces, without more memory for as many as a flow has at most times.
type Indexes = SmallVec<[u32; 4]>;

/// All names that some flow has, each set of them once.
#[derive(Debug, Default)]
pub(super) struct Crossed(HashMap<Indexes, Interfaces>);

impl Crossed {
    /// Puts in the names as they are now; of an interface that is gone for long, as they were last.
    pub(super) fn name(&mut self, flow: &mut FlowRecord, directory: &Directory) {
        let mut indexes: Indexes = flow.seen.iter().map(|seen| seen.ifindex).collect();
        indexes.sort_unstable();
        indexes.dedup();
        let is_so = |known: &&Interfaces| {
            known.iter().all(|(index, name)| {
                directory.interface(*index).is_none_or(|link| *link.name == **name)
            })
        };
        if let Some(known) = self.0.get(&indexes).filter(is_so) {
            flow.interfaces = Arc::clone(known);
            return;
        }
        let name = |index: &u32| Some((*index, directory.interface(*index)?.name.as_str().into()));
        flow.interfaces = indexes.iter().filter_map(name).collect();
        // What was not known may become so.
        if flow.interfaces.len() == indexes.len() {
            if self.0.len() == self.0.capacity() {
                self.0.retain(|_, names| Arc::strong_count(names) > 1);
            }
            self.0.insert(indexes, Arc::clone(&flow.interfaces));
        }
    }
}
