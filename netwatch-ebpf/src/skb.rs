//! The packet as the parser reads it, and what the skb says of its size.

use aya_ebpf::{
    bindings::__sk_buff, cty::c_void, helpers::bpf_skb_load_bytes, programs::TcContext,
};
use netwatch_common::{
    flow::Tally,
    outcome::Outcome,
    parse::{self, Header, Packet, Reader},
};

use crate::maps::SCRATCH;

/// The linear part of the packet, from the Ethernet header on: read where it is.
struct Linear {
    start: usize,
    end: usize,
}

/// A header within; the verifier knows that it is whole.
#[derive(Clone, Copy)]
pub struct Bytes(*const u8);

impl Reader for Linear {
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

/// The whole packet, in its linear part or not: a helper copies each header out. That costs a call for each, and in
/// return the verifier has no offsets to follow, of which tags and extension headers make thousands.
struct Whole {
    skb: *mut __sk_buff,
    header: *mut [u8; HEADER_BYTES],
}

/// The longest header that is read at once is IPv6's.
const HEADER_BYTES: usize = 40;

impl Reader for Whole {
    type Header<const N: usize> = Bytes;

    #[inline(always)]
    fn header<const N: usize>(&self, offset: u32) -> Option<Bytes> {
        const { assert!(N <= HEADER_BYTES) };
        let header = self.header.cast::<c_void>();
        // SAFETY: a valid context, and room for N bytes.
        let result = unsafe { bpf_skb_load_bytes(self.skb.cast(), offset, header, N as u32) };
        if result == 0 { Some(Bytes(header.cast())) } else { None }
    }
}

/// Where a packet that is not parsed in place is parsed. Per CPU in a map, because a program has 512 bytes of stack in
/// all, and because the verifier does not follow what is in a map: however a packet was parsed, it goes on the same.
#[repr(C)]
pub struct Scratch {
    header: [u8; HEADER_BYTES],
    packet: Packet,
}

/// Parses the packet, wherever its headers are.
#[inline(always)]
pub fn parse(ctx: &TcContext) -> Result<Packet, Outcome> {
    match parse::common(&Linear { start: ctx.data(), end: ctx.data_end() }) {
        Some(packet) => Ok(packet),
        None => parse_at(ctx, 0),
    }
}

/// Parses the packet whose Ethernet header begins at `start`; see [`parse::parse_at`].
#[inline(always)]
pub fn parse_at(ctx: &TcContext, start: u32) -> Result<Packet, Outcome> {
    let scratch = SCRATCH.get_ptr_mut(0).ok_or(Outcome::Truncated)?;
    uncommon(ctx.skb.skb, start, scratch)?;
    // SAFETY: a valid element, whose packet has just been written.
    Ok(unsafe { (*scratch).packet })
}

/// Parses the quotation in an ICMP error message; see [`parse::quoted`].
#[expect(dead_code, reason = "the flow table will join error messages to the flow they quote")]
#[inline(always)]
pub fn quoted(ctx: &TcContext, message: &Packet) -> Result<Packet, Outcome> {
    let scratch = SCRATCH.get_ptr_mut(0).ok_or(Outcome::Truncated)?;
    uncommon_quoted(ctx.skb.skb, message.quoted_at, message.family, scratch)?;
    // SAFETY: as in `parse_at`.
    Ok(unsafe { (*scratch).packet })
}

/// Not inlined, so that what is rare does not stand in the way of what is common.
#[inline(never)]
fn uncommon(skb: *mut __sk_buff, start: u32, scratch: *mut Scratch) -> Result<(), Outcome> {
    // SAFETY: a valid element of the map, which nobody else uses on this CPU.
    let (header, packet) = unsafe { (&raw mut (*scratch).header, &mut (*scratch).packet) };
    clear(packet);
    parse::fill_in(&Whole { skb, header }, start, packet)
}

/// Not inlined, as [`uncommon`].
#[inline(never)]
fn uncommon_quoted(
    skb: *mut __sk_buff,
    offset: u32,
    family: u8,
    scratch: *mut Scratch,
) -> Result<(), Outcome> {
    // SAFETY: as in `uncommon`.
    let (header, packet) = unsafe { (&raw mut (*scratch).header, &mut (*scratch).packet) };
    clear(packet);
    parse::fill_in_quoted(&Whole { skb, header }, offset, family, packet)
}

/// Makes a default of it, word by word: an assignment would become a call of memset.
#[inline(always)]
fn clear(packet: &mut Packet) {
    let words = (&raw mut *packet).cast::<u32>();
    for word in 0..size_of::<Packet>() / 4 {
        // SAFETY: within the packet, which has the alignment of a word; its default is zero in all fields.
        unsafe { words.add(word).write_volatile(0) };
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
