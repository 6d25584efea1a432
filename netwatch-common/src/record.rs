//! Records of the rings: what the programs write, read back.
//!
//! Any bytes of the right length are a value of a record, so that there is no byte here that can do harm.

#![expect(unsafe_code, reason = "which ABI types are plain bytes")]

use crate::{
    flow::EvictedFlow,
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

/// The value that the bytes are; `None` if they are more or fewer.
fn read<T: Record>(bytes: &[u8]) -> Option<T> {
    if bytes.len() != size_of::<T>() {
        return None;
    }
    // SAFETY: enough bytes, any of which are a value of `T`; read without regard to alignment.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// A flow entry that had to give way.
pub fn evicted(bytes: &[u8]) -> Option<EvictedFlow> {
    read(bytes)
}

/// A sampled packet, of a hook that is known.
pub fn sample(bytes: &[u8]) -> Option<Sample> {
    read(bytes).filter(|sample: &Sample| [INGRESS, EGRESS].contains(&sample.hook))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::SAMPLE_BYTES;

    #[test]
    fn a_record_of_another_size_is_refused() {
        let bytes = [0; size_of::<EvictedFlow>() + 1];
        assert!(evicted(&bytes[1..]).is_some());
        assert!(evicted(&bytes).is_none());
        assert!(evicted(&bytes[2..]).is_none());
        assert!(sample(&[]).is_none());
    }

    #[test]
    fn a_sample_never_claims_more_bytes_than_it_has() {
        let mut bytes = [0; size_of::<Sample>()];
        for (captured, expected) in [(0, 0), (128, SAMPLE_BYTES), (u16::MAX, SAMPLE_BYTES)] {
            bytes[20..22].copy_from_slice(&captured.to_ne_bytes());
            assert_eq!(sample(&bytes).unwrap().captured().len(), expected);
        }
    }

    #[test]
    fn a_sample_from_an_unknown_hook_is_refused() {
        let mut bytes = [0; size_of::<Sample>()];
        bytes[22] = 2;
        assert!(sample(&bytes).is_none());
    }
}
