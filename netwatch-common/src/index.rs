//! The index of the flow table: by it each CPU finds the entries of its flows.
//!
//! Entries stand close together in one pool for all CPUs, so that few of them fill few pages; what is spread out, as a hash
//! table has to be, is only this, four bytes a place. Each CPU has a section of its own, which its programs write; the agent
//! only ever clears a place.

/// Places in a line, which is one line of the processor's cache. A flow is in its line or nowhere.
pub const WAYS: u32 = 16;

/// A line: in each place nothing (0), or [`place`] of an entry.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line(pub [u32; WAYS as usize]);

const _: () = assert!(size_of::<Line>() == 64);

/// Bits of a place that number the entry. The others are some of the flow's hash: most entries need not be looked at to know
/// that they are another flow's.
pub const ENTRY_BITS: u32 = 24;
const ENTRY: u32 = (1 << ENTRY_BITS) - 1;

/// The entry that is never given to a flow, so that its number can stand for none.
pub const NO_ENTRY: u32 = 0;

/// What stands in the place of an entry.
#[inline(always)]
pub const fn place(entry: u32, hash: u32) -> u32 {
    tag(hash) | entry
}

/// The number of the entry in a place.
#[inline(always)]
pub const fn entry(place: u32) -> u32 {
    place & ENTRY
}

/// Whether the entry in a place may be that of a flow.
#[inline(always)]
pub const fn may_be(place: u32, hash: u32) -> bool {
    place & !ENTRY == tag(hash) && place & ENTRY != NO_ENTRY
}

/// The lower bits of the hash: the upper ones say where the flow is looked for.
#[inline(always)]
const fn tag(hash: u32) -> u32 {
    hash << ENTRY_BITS
}

/// Where a flow is looked for first, and put if that is free: so that nearly every flow is found at once. Among the places of
/// a section, of which there are two to the power of `32 - shift`.
#[inline(always)]
pub const fn home(hash: u32, shift: u32) -> u32 {
    hash >> shift
}

/// The line of a place in a section.
#[inline(always)]
pub const fn line(home: u32) -> u32 {
    home / WAYS
}

/// Which of its line a place is.
#[inline(always)]
pub const fn way(home: u32) -> u32 {
    home % WAYS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_tells_its_entry_and_most_other_flows() {
        let of = place(0x00ab_cdef, 0x1234_5678);
        assert_eq!((of, entry(of)), (0x78ab_cdef, 0x00ab_cdef));
        assert!(may_be(of, 0x9999_9978));
        assert!(!may_be(of, 0x1234_5679));
        assert!(!may_be(0, 0), "an empty place is nobody's");
    }

    #[test]
    fn a_home_is_in_its_line() {
        let home = home(0xffff_ffff, 32 - 18);
        assert_eq!((home, line(home), way(home)), ((1 << 18) - 1, (1 << 14) - 1, 15));
    }
}
