//! What has been taken out of the flow table for good. It is nowhere else until the agent has written down what came of it, so it goes
//! into a file first: if the agent is killed, the next one reads it there.

use std::{fs::File, io::Write as _};

use netwatch_common::{flow::EvictedFlow, record};

/// An interface's index, and the entry.
const LENGTH: usize = size_of::<u32>() + size_of::<EvictedFlow>();
/// With so much, it is time to write down what came of it.
const MUCH: usize = 8 << 20;
/// More than that is not kept: some 320,000 entries. Writing down may have to wait, for lines on a slow disk.
const MOST: usize = 64 << 20;

/// Where it goes, if anywhere.
#[derive(Default)]
pub(super) struct Taken {
    file: Option<File>,
    written: usize,
}

impl Taken {
    pub(super) fn into(file: Option<File>) -> Self {
        Self { file, written: 0 }
    }

    /// Whether it is time to write down what came of it.
    pub(super) fn is_much(&self) -> bool {
        self.written > MUCH
    }

    /// Before the entry is given back to the programs. A file that cannot be written is given up: its end may be half an entry.
    pub(super) fn note(&mut self, ifindex: Option<u32>, record: &EvictedFlow) {
        let (Some(file), Some(ifindex)) = (&mut self.file, ifindex) else { return };
        let mut bytes = [0; LENGTH];
        let (index, entry) = bytes.split_at_mut(size_of::<u32>());
        index.copy_from_slice(&ifindex.to_ne_bytes());
        entry.copy_from_slice(record::bytes(record));
        self.written += LENGTH;
        if self.written > MOST || file.write_all(&bytes).is_err() {
            self.file = None;
        }
    }
}

/// What was noted in a file.
pub(super) fn noted(bytes: &[u8]) -> impl Iterator<Item = (u32, EvictedFlow)> {
    bytes.chunks_exact(LENGTH).filter_map(|bytes| {
        let (index, entry) = bytes.split_first_chunk()?;
        Some((u32::from_ne_bytes(*index), record::evicted(entry)?))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_noted_is_read_up_to_where_it_is_whole() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let record = |index| EvictedFlow { index, ..EvictedFlow::default() };
        let mut taken = Taken::into(Some(path.reopen().unwrap()));
        (0..3).for_each(|index| taken.note(Some(10 + index), &record(index)));
        let bytes = fs::read(path.path()).unwrap();
        let all: Vec<_> = noted(&bytes).collect();
        assert_eq!(all, [(10, record(0)), (11, record(1)), (12, record(2))]);
        assert_eq!(noted(&bytes[..bytes.len() - 1]).count(), 2);
        assert!(!taken.is_much());
        Taken::default().note(Some(1), &record(1));
    }

    #[test]
    fn it_does_not_grow_for_ever() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let mut taken = Taken::into(Some(path.reopen().unwrap()));
        (0..=MOST / LENGTH + 1).for_each(|_| taken.note(Some(1), &EvictedFlow::default()));
        assert!(taken.is_much());
        assert_eq!(fs::read(path.path()).unwrap().len(), MOST / LENGTH * LENGTH);
    }
}
