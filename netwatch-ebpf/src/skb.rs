//! The packet as the parser reads it, and what the skb says of its size.

use aya_ebpf::{cty::c_void, helpers::bpf_skb_load_bytes, programs::TcContext};
use netwatch_common::{
    flow::Tally,
    outcome::Outcome,
    parse::{Header, Reader},
};

use crate::maps::SCRATCH;

/// Bytes of a packet that are copied out where its headers are not in the linear part.
pub const SCRATCH_BYTES: usize = 256;

/// A piece of memory with the packet in it, from the Ethernet header on.
pub struct Memory {
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

    #[inline(always)]
    fn double(self, at: usize) -> u64 {
        // SAFETY: as in `u8`.
        unsafe { *self.0.add(at).cast::<u64>() }
    }
}

/// The part of the packet that programs can read directly.
#[inline(always)]
pub fn linear(ctx: &TcContext) -> Memory {
    Memory { start: ctx.data(), end: ctx.data_end() }
}

/// Whether the packet goes on beyond its linear part.
#[inline(always)]
pub fn goes_on(ctx: &TcContext, linear: &Memory) -> bool {
    ctx.len() as usize > linear.end - linear.start
}

/// A copy of the packet's first bytes.
#[inline(always)]
pub fn copy(ctx: &TcContext) -> Result<Copy, Outcome> {
    let scratch = SCRATCH.get_ptr_mut(0).ok_or(Outcome::Truncated)?.cast::<u8>();
    let len = ctx.len().min(SCRATCH_BYTES as u32);
    if len == 0 {
        return Err(Outcome::Truncated);
    }
    // SAFETY: the scratch value has SCRATCH_BYTES bytes, and `len` is at most that.
    if unsafe { bpf_skb_load_bytes(ctx.skb.skb.cast(), 0, scratch.cast::<c_void>(), len) } != 0 {
        return Err(Outcome::Truncated);
    }
    Ok(Copy { start: scratch, len: len as usize })
}

/// The interface that the packet is at.
#[inline(always)]
pub fn ifindex(ctx: &TcContext) -> u32 {
    // SAFETY: the kernel hands a valid context.
    unsafe { (*ctx.skb.skb).ifindex }
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

/// Stores the source address of the Ethernet header, if it is in the linear part.
#[inline(always)]
pub fn source_mac(ctx: &TcContext, to: &mut [u16; 3]) {
    if let Some(header) = linear(ctx).header::<6>(6) {
        for (at, word) in to.iter_mut().enumerate() {
            *word = header.u16(at * 2).to_be();
        }
    }
}

/// What one skb counts for.
#[derive(Clone, Copy)]
pub struct Weight {
    /// `skb->len`: what `ip -s link` counts.
    pub skb_len: u32,
    /// Packets on the wire.
    pub segments: u32,
    /// Bytes on the wire.
    pub bytes: u32,
    /// Bytes of the largest of these packets.
    pub largest: u32,
}

impl Weight {
    /// Counts the packet in a tally.
    #[inline(always)]
    pub fn add_to(&self, tally: &mut Tally) {
        tally.packets += 1;
        tally.segments += u64::from(self.segments);
        tally.bytes += u64::from(self.bytes);
    }
}

/// Bytes of a VLAN tag (IEEE 802.1Q, clause 9.5).
const TAG: u32 = 4;

/// Weighs a packet. `header_len` is what segmentation repeats in front of each segment. A VLAN tag that the device or the
/// kernel took out of the packet (`skb->vlan_tci`) was on the wire, or will be.
#[inline(always)]
pub fn weigh(ctx: &TcContext, header_len: u32) -> Weight {
    // SAFETY: the kernel hands a valid context.
    let (skb_len, gso_size, tags) = unsafe {
        let skb = ctx.skb.skb;
        ((*skb).len, (*skb).gso_size, (*skb).vlan_present)
    };
    let tag = tags * TAG;
    if gso_size == 0 {
        let bytes = skb_len + tag;
        return Weight { skb_len, segments: 1, bytes, largest: bytes };
    }
    // SAFETY: as above.
    let segments = segments(skb_len, header_len, unsafe { (*ctx.skb.skb).gso_segs }, gso_size);
    Weight {
        skb_len,
        segments,
        bytes: skb_len + (segments - 1) * header_len + segments * tag,
        largest: header_len + gso_size + tag,
    }
}

/// Packets on the wire. A GSO skb from an untrusted source (SKB_GSO_DODGY: a virtual machine, a packet socket) can
/// come without `gso_segs`; then they follow from `gso_size`, as in the kernel's `qdisc_pkt_len_init`.
#[inline(always)]
fn segments(len: u32, header_len: u32, gso_segs: u32, gso_size: u32) -> u32 {
    if gso_segs != 0 {
        return gso_segs;
    }
    if len <= header_len {
        return 1;
    }
    (len - header_len).div_ceil(gso_size)
}
