//! The packet as the parser reads it, and what the skb says of its size.

use aya_ebpf::{cty::c_void, helpers::bpf_skb_load_bytes, programs::TcContext};
use netwatch_common::{
    flow::Tally,
    outcome::Outcome,
    parse::{self, Header, Packet, Reader},
};

use crate::maps::SCRATCH;

/// Bytes of a packet that are copied out where its headers are not in the linear part.
pub const SCRATCH_BYTES: usize = 256;

/// A piece of memory with the packet in it, from the Ethernet header on.
struct Memory {
    start: usize,
    end: usize,
}

/// A header within; the verifier knows that it is whole.
#[derive(Clone, Copy)]
pub struct Bytes(*const u8);

impl Reader for Memory {
    type Header<const N: usize> = Bytes;

    #[inline(always)]
    fn header<const N: usize>(&self, offset: u32) -> Option<Bytes> {
        let start = self.start + offset as usize;
        if start + N > self.end { None } else { Some(Bytes(start as *const u8)) }
    }
}

// Words are read whole, wherever they stand: taking them apart into bytes would triple the instructions, and the
// kernels that run this (x86-64, arm64) allow unaligned access to packets.
impl Header for Bytes {
    #[inline(always)]
    fn u8(self, at: usize) -> u8 {
        // SAFETY: `header` checked that the header is whole, and callers stay within it; so does the verifier.
        unsafe { *self.0.add(at) }
    }

    #[inline(always)]
    fn u16(self, at: usize) -> u16 {
        // SAFETY: as in `u8`.
        u16::from_be(unsafe { *self.0.add(at).cast::<u16>() })
    }

    #[inline(always)]
    fn word(self, at: usize) -> u32 {
        // SAFETY: as in `u8`.
        unsafe { *self.0.add(at).cast::<u32>() }
    }
}

/// Parses the packet, wherever its headers are.
#[inline(always)]
pub fn parse(ctx: &TcContext) -> Result<Packet, Outcome> {
    let linear = Memory { start: ctx.data(), end: ctx.data_end() };
    match parse::parse(&linear) {
        Err(Outcome::Truncated) if ctx.len() as usize > linear.end - linear.start => {
            parse_copy(ctx)
        }
        result => result,
    }
}

/// The packet goes on beyond its linear part: parses a copy of its first bytes.
#[inline(always)]
fn parse_copy(ctx: &TcContext) -> Result<Packet, Outcome> {
    let scratch = SCRATCH.get_ptr_mut(0).ok_or(Outcome::Truncated)?.cast::<u8>();
    let len = ctx.len().min(SCRATCH_BYTES as u32);
    if len == 0 {
        return Err(Outcome::Truncated);
    }
    // SAFETY: the scratch value has SCRATCH_BYTES bytes, and `len` is at most that.
    if unsafe { bpf_skb_load_bytes(ctx.skb.skb.cast(), 0, scratch.cast::<c_void>(), len) } != 0 {
        return Err(Outcome::Truncated);
    }
    parse::parse(&Copy { start: scratch, len: len as usize })
}

/// A copy in a map value of [`SCRATCH_BYTES`]. Its bounds are compared as numbers: a map value has no end pointer for the verifier.
pub struct Copy {
    pub start: *const u8,
    /// At most [`SCRATCH_BYTES`].
    pub len: usize,
}

impl Reader for Copy {
    type Header<const N: usize> = Bytes;

    #[inline(always)]
    fn header<const N: usize>(&self, offset: u32) -> Option<Bytes> {
        let offset = offset as usize;
        if offset > SCRATCH_BYTES - N || offset + N > self.len {
            return None;
        }
        // SAFETY: the header ends within the map value.
        Some(Bytes(unsafe { self.start.add(offset) }))
    }
}

/// What one skb counts for. `header_len` is what segmentation repeats in front of each segment.
#[inline(always)]
pub fn weigh(ctx: &TcContext, header_len: u32) -> Tally {
    // SAFETY: the kernel hands a valid context.
    let (gso_segs, gso_size) = unsafe { ((*ctx.skb.skb).gso_segs, (*ctx.skb.skb).gso_size) };
    let len = ctx.len();
    let segments = segments(len, header_len, gso_segs, gso_size);
    Tally {
        packets: 1,
        segments: segments as u64,
        bytes: len as u64 + (segments - 1) as u64 * header_len as u64,
    }
}

/// Packets on the wire. A GSO skb from an untrusted source (SKB_GSO_DODGY: a virtual machine, a packet socket) can
/// come without `gso_segs`; then they follow from `gso_size`, as in the kernel's `qdisc_pkt_len_init`.
#[inline(always)]
fn segments(len: u32, header_len: u32, gso_segs: u32, gso_size: u32) -> u32 {
    if gso_segs != 0 {
        return gso_segs;
    }
    if gso_size == 0 || len <= header_len {
        return 1;
    }
    (len - header_len).div_ceil(gso_size)
}
