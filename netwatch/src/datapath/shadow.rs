//! What has been read of each entry of the flow table.

use std::{fmt, iter};

use serde::{
    Deserialize, Serialize, Serializer,
    ser::{Error as _, SerializeTuple as _},
};

use super::{
    abi::Read,
    shared::{Plain, SharedArray},
};

/// What has been read of an entry. Sixty-four bytes, for there are as many as there are entries.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shadow {
    /// Sequence number of the entry when it was read.
    pub(super) sequence: u32,
    /// Incarnations whose last reading is done.
    pub(super) finished: u16,
    /// 1 = the present incarnation has been read.
    pub(super) is_read: u8,
    pub(super) pad: u8,
    /// Sum of the times of all echoes.
    pub(super) echo_ns: u64,
    pub(super) ingress: Read,
    pub(super) egress: Read,
}

const _: () = assert!(size_of::<Shadow>() == 64);

#[expect(unsafe_code, reason = "memory of our own in the shape of a shared array")]
// SAFETY: repr(C), integers only, no padding.
unsafe impl Plain for Shadow {}

impl Shadow {
    /// Of an entry that is read to the end of an incarnation.
    pub(super) fn finished(incarnation: u16, sequence: u32) -> Self {
        Self { sequence, finished: incarnation, ..Self::default() }
    }

    /// Whether this incarnation comes next.
    pub(super) fn is_before(&self, incarnation: u16) -> bool {
        incarnation == self.finished.wrapping_add(1)
    }

    /// Whether incarnations up to this one have still to be read. They wrap.
    pub(super) fn is_behind(&self, incarnation: u16) -> bool {
        incarnation.wrapping_sub(self.finished).cast_signed() > 0
    }
}

/// How far the flow table has been read: for an agent that goes on. The numbers of entries, each with its shadow.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(Serialize))]
pub struct Bookmark(Vec<u8>);

/// The same as it is written: shadows are not copied for that.
pub(super) struct Marks<'a>(pub(super) &'a SharedArray<Shadow>);

impl Marks<'_> {
    /// Of all entries that were ever read.
    fn entries(&self) -> impl Iterator<Item = (u32, Shadow)> {
        let read = |index| Some((index, self.0.read(index)?));
        (0..self.0.len()).filter_map(read).filter(|(_, shadow)| *shadow != Shadow::default())
    }
}

impl Serialize for Marks<'_> {
    /// In postcard's format, a vector of bytes is their number, and they: in it, the entries.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (mut count, mut bytes) = (0, 0);
        for entry in self.entries() {
            count += 1;
            bytes += postcard::experimental::serialized_size(&entry).map_err(S::Error::custom)?;
        }
        let mut parts = serializer.serialize_tuple(1 + count)?;
        parts.serialize_element(&bytes)?;
        self.entries().try_for_each(|entry| parts.serialize_element(&entry))?;
        parts.end()
    }
}

impl fmt::Debug for Bookmark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.entries()).finish()
    }
}

impl Bookmark {
    /// Puts them where they were.
    pub(super) fn restore(&self, shadows: &SharedArray<Shadow>) {
        for (index, shadow) in self.entries() {
            shadows.write(index, shadow);
        }
    }

    fn entries(&self) -> impl Iterator<Item = (u32, Shadow)> {
        let mut bytes = self.0.as_slice();
        iter::from_fn(move || {
            let (entry, rest) = postcard::take_from_bytes(bytes).ok()?;
            bytes = rest;
            Some(entry)
        })
    }
}

#[cfg(test)]
mod tests {
    use netwatch_common::flow::Half;

    use super::*;

    impl Bookmark {
        fn of(shadows: &SharedArray<Shadow>) -> Self {
            let bytes = postcard::to_allocvec(&Marks(shadows)).unwrap();
            postcard::from_bytes(&bytes).unwrap()
        }

        /// Of two entries, no two figures of which are the same.
        pub(crate) fn example() -> Self {
            let read = |figure: u32| {
                let [packets, more_segments, bytes] =
                    [1, 2, 3].map(|more| u64::from(figure + more));
                let detail = [figure + 4, figure + 5, figure + 6, figure + 7];
                Read::all(&Half { packets, more_segments, bytes, detail, ..Half::default() })
            };
            let shadows = SharedArray::anonymous(1_000).unwrap();
            shadows.write(7, Shadow::finished(300, 301));
            let echo_ns = u64::from(u32::MAX) + 1;
            let (ingress, egress) = (read(1_000), read(2_000));
            let read =
                Shadow { is_read: 1, echo_ns, ingress, egress, ..Shadow::finished(302, 303) };
            shadows.write(999, read);
            Self::of(&shadows)
        }
    }

    #[test]
    fn a_bookmark_is_put_back_where_it_was() {
        let shadows = SharedArray::anonymous(100).unwrap();
        shadows.write(7, Shadow::finished(3, 40));
        shadows.write(99, Shadow { is_read: 1, echo_ns: u64::MAX, ..Shadow::finished(4, 41) });
        let bookmark = Bookmark::of(&shadows);
        assert!(bookmark.0.len() < 64, "{bookmark:?}");
        let bytes = postcard::to_allocvec(&Marks(&shadows)).unwrap();
        assert_eq!(postcard::to_allocvec(&bookmark).unwrap(), bytes);
        let again = SharedArray::anonymous(100).unwrap();
        postcard::from_bytes::<Bookmark>(&bytes).unwrap().restore(&again);
        assert_eq!(Bookmark::of(&again), bookmark);
        // Another table, with fewer entries, does not become a larger one.
        bookmark.restore(&SharedArray::anonymous(50).unwrap());
    }
}
