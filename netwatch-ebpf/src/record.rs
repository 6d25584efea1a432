//! A record of a ring that is no longer than what it says: a header, and behind it some bytes of the packet.
//!
//! A place in a ring can be reserved for a constant length only, so the record is put together in memory of this CPU and
//! copied. With 128 bytes of a packet that costs about 95 ns where reserving cost 70; only packets that become a record pay
//! it, and a ring of the same size holds several times as many DNS messages.

use core::{hint::black_box, slice};

use aya_ebpf::{EbpfContext as _, btf_maps::RingBuf, cty::c_void, helpers::bpf_skb_load_bytes};
use netwatch_common::{
    message::{MESSAGE_BYTES, Message},
    sample::SAMPLE_BYTES,
};

use crate::{maps::RECORD, skb::Skb};

/// Bytes of the packet behind a header at most; a power of two.
const PACKET_BYTES: usize = 512;

/// Words of the longest record.
pub const RECORD_WORDS: usize = (size_of::<Message>() + PACKET_BYTES) / 8;

const _: () = assert!(MESSAGE_BYTES <= PACKET_BYTES && SAMPLE_BYTES as usize <= PACKET_BYTES);

/// Sends a header and `len` bytes of the packet from `offset` on. Answers whether there was room in the ring.
#[inline(always)]
pub fn send<H, const SIZE: usize>(
    ring: &RingBuf<(), SIZE>,
    ctx: &Skb,
    header: H,
    offset: u32,
    len: u32,
) -> bool {
    const { assert!(size_of::<H>() <= size_of::<Message>() && align_of::<H>() <= 8) };
    let Some(record) = RECORD.get_ptr_mut(0) else { return false };
    let mut size = size_of::<H>();
    // SAFETY: the record has room for the header and PACKET_BYTES behind it; only this CPU uses it, and nothing that
    // runs in between does.
    unsafe { record.cast::<H>().write(header) };
    if len != 0 {
        // The verifier wants to see that this is 1 to PACKET_BYTES. Old ones learn nothing from `!= 0`, and the compiler
        // would remove a mask that changes nothing, so the length is hidden from it.
        let len = (black_box(u64::from(len) - 1) & (PACKET_BYTES as u64 - 1)) + 1;
        // SAFETY: as above; at most PACKET_BYTES are written behind the header.
        let result = unsafe {
            bpf_skb_load_bytes(
                ctx.as_ptr(),
                offset,
                record.cast::<H>().add(1).cast::<c_void>(),
                len as u32,
            )
        };
        if result != 0 {
            return false;
        }
        size += len as usize;
    }
    // SAFETY: these bytes of the record are initialised: map memory always is.
    let bytes = unsafe { slice::from_raw_parts(record.cast::<u8>(), size) };
    ring.output_untyped::<[u8]>(bytes, 0).is_ok()
}
