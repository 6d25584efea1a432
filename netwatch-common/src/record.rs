//! Records of the rings: what the programs write, read back.
//!
//! Any bytes of the right length are a value of a record, so that there is no byte here that can do harm.

#![expect(unsafe_code, reason = "which ABI types are plain bytes")]

use core::slice;

use crate::{
    drop::DropRecord,
    flow::EvictedFlow,
    message::Message,
    sample::{EGRESS, INGRESS, Sample},
};

/// Types of which any bytes are a value.
///
/// # Safety
///
/// `repr(C)`, integers and arrays of them only, without padding that is not a field.
unsafe trait Record: Copy {}

// SAFETY: so it is, and its size is asserted beside it.
unsafe impl Record for EvictedFlow {}
// SAFETY: as above.
unsafe impl Record for Sample {}
// SAFETY: as above.
unsafe impl Record for Message {}
// SAFETY: as above.
unsafe impl Record for DropRecord {}

/// The value that the bytes begin with, and what follows it; `None` if there are too few.
fn split<T: Record>(bytes: &[u8]) -> Option<(T, &[u8])> {
    let (record, rest) = bytes.split_at_checked(size_of::<T>())?;
    // SAFETY: enough bytes, any of which are a value of `T`; read without regard to alignment.
    Some((unsafe { record.as_ptr().cast::<T>().read_unaligned() }, rest))
}

/// A flow entry that had to give way, and nothing else.
pub fn evicted(bytes: &[u8]) -> Option<EvictedFlow> {
    whole(bytes)
}

/// The bytes of one, as [`evicted`] reads them.
pub fn bytes(record: &EvictedFlow) -> &[u8] {
    // SAFETY: all of it, and no byte of it is padding: its sizes are asserted beside it.
    unsafe { slice::from_raw_parts((&raw const *record).cast(), size_of::<EvictedFlow>()) }
}

/// A dropped packet, and nothing else.
pub fn dropped(bytes: &[u8]) -> Option<DropRecord> {
    whole(bytes)
}

fn whole<T: Record>(bytes: &[u8]) -> Option<T> {
    split(bytes).filter(|(_, rest)| rest.is_empty()).map(|(record, _)| record)
}

/// A sample of a hook that is known, and the first bytes of the packet.
pub fn sample(bytes: &[u8]) -> Option<(Sample, &[u8])> {
    split::<Sample>(bytes).filter(|(record, _)| is_hook(record.hook))
}

/// A DNS message of a hook that is known, and its bytes.
pub fn message(bytes: &[u8]) -> Option<(Message, &[u8])> {
    split::<Message>(bytes).filter(|(record, _)| is_hook(record.hook.into()))
}

fn is_hook(number: u32) -> bool {
    [INGRESS, EGRESS].map(u32::from).contains(&number)
}

#[cfg(test)]
mod tests {
    use core::mem::offset_of;

    use super::*;

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let record = EvictedFlow { index: 7, ..EvictedFlow::default() };
        assert_eq!(evicted(bytes(&record)), Some(record));
    }

    #[test]
    fn an_entry_of_another_size_is_refused() {
        let bytes = [0; size_of::<EvictedFlow>() + 1];
        assert!(evicted(&bytes[1..]).is_some());
        assert!(evicted(&bytes).is_none());
        assert!(evicted(&bytes[2..]).is_none());
        assert!(dropped(&bytes[..size_of::<DropRecord>()]).is_some());
        assert!(dropped(&bytes[..=size_of::<DropRecord>()]).is_none());
    }

    #[test]
    fn what_follows_a_header_belongs_to_it() {
        const SAMPLE: usize = size_of::<Sample>();
        const MESSAGE: usize = size_of::<Message>();
        let mut bytes = [0; 100];
        bytes[SAMPLE] = 1;
        assert_eq!(sample(&bytes[..SAMPLE + 2]).unwrap().1, [1, 0]);
        assert_eq!(sample(&bytes[..SAMPLE]).unwrap().1, []);
        assert!(sample(&bytes[..SAMPLE - 1]).is_none());
        assert_eq!(message(&bytes[..MESSAGE + 2]).unwrap().1, [0, 0]);
        assert_eq!(message(&bytes[..MESSAGE]).unwrap().1, []);
        assert!(message(&bytes[..MESSAGE - 1]).is_none());
    }

    #[test]
    fn what_an_unknown_hook_saw_is_refused() {
        for (hook, known) in [(0, true), (1, true), (2, false), (255, false)] {
            let mut bytes = [0; 100];
            bytes[offset_of!(Sample, hook)] = hook;
            assert_eq!(sample(&bytes).is_some(), known, "{hook}");
            let mut bytes = [0; 100];
            bytes[offset_of!(Message, hook)] = hook;
            assert_eq!(message(&bytes).is_some(), known, "{hook}");
        }
    }
}
