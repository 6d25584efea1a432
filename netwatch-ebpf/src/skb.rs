//! The packet as the parser reads it, and what the skb says of its size.

use aya_ebpf::{EbpfContext, bindings::__sk_buff, cty::c_void, helpers::bpf_skb_load_bytes};
use netwatch_common::{
    flow::Tally,
    outcome::Outcome,
    parse::{self, Header, Packet, Reader},
};

use crate::maps::SCRATCH;

/// What the kernel hands to a program: a pointer to `__sk_buff`.
///
/// Not aya's `TcContext`, whose type the compiler describes in BTF. It points to `bpf_sock` and `bpf_flow_keys`, which LLVM
/// (`FixupDerivedTypes` in BTFDebug.h) writes down in the order of their addresses in its own memory: no two builds would surely be
/// the same.
#[repr(transparent)]
pub struct Skb(*mut c_void);

impl Skb {
    /// Of a program's argument.
    #[inline(always)]
    pub fn new(argument: *mut c_void) -> Self {
        Self(argument)
    }

    #[inline(always)]
    pub fn fields(&self) -> *const __sk_buff {
        self.0.cast()
    }

    /// Bytes of the packet.
    #[inline(always)]
    pub fn len(&self) -> u32 {
        // SAFETY: the kernel hands a valid context.
        unsafe { (*self.fields()).len }
    }
}

impl EbpfContext for Skb {
    fn as_ptr(&self) -> *mut c_void {
        self.0
    }
}

/// The linear part of the packet, from the Ethernet header on: read where it is.
pub struct Linear {
    start: usize,
    end: usize,
}

/// A header within; the verifier knows that it is whole.
#[derive(Clone, Copy)]
pub struct Bytes(pub *const u8);

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

    #[inline(always)]
    fn double(self, at: usize) -> u64 {
        // SAFETY: as in `u8`.
        unsafe { *self.0.add(at).cast::<u64>() }
    }
}

/// The whole packet, in its linear part or not: a helper copies each header out. That costs a call for each, and in
/// return the verifier has no offsets to follow, of which tags and extension headers make thousands.
struct Whole {
    skb: *mut c_void,
    header: *mut [u8; HEADER_BYTES],
}

/// The longest header that is read at once is IPv6's.
pub const HEADER_BYTES: usize = 40;

impl Reader for Whole {
    type Header<const N: usize> = Bytes;

    #[inline(always)]
    fn header<const N: usize>(&self, offset: u32) -> Option<Bytes> {
        const { assert!(N <= HEADER_BYTES) };
        let header = self.header.cast::<c_void>();
        // SAFETY: a valid context, and room for N bytes.
        let result = unsafe { bpf_skb_load_bytes(self.skb, offset, header, N as u32) };
        if result == 0 { Some(Bytes(header.cast())) } else { None }
    }
}

/// Where a packet that is not parsed in place is parsed. Per CPU in a map, because a program has 512 bytes of stack in
/// all, and because the verifier does not follow what is in a map: however a packet was parsed, it goes on the same.
#[repr(C)]
pub struct Scratch {
    pub header: [u8; HEADER_BYTES],
    pub packet: Packet,
}

/// The part of the packet that programs can read directly.
#[inline(always)]
pub fn linear(ctx: &Skb) -> Linear {
    // SAFETY: the kernel hands a valid context.
    let (start, end) = unsafe { ((*ctx.fields()).data, (*ctx.fields()).data_end) };
    Linear { start: start as usize, end: end as usize }
}

/// The interface that the packet is at.
#[inline(always)]
pub fn ifindex(ctx: &Skb) -> u32 {
    // SAFETY: the kernel hands a valid context.
    unsafe { (*ctx.fields()).ifindex }
}

/// Parses the packet whose Ethernet header begins at `start`, wherever its headers are; see [`parse::parse_at`]. The
/// answer is good until the next call.
#[inline(always)]
pub fn parse_at<'a>(ctx: &Skb, start: u32) -> Result<&'a mut Packet, Outcome> {
    let scratch = SCRATCH.get_ptr_mut(0).ok_or(Outcome::Truncated)?;
    uncommon(ctx.as_ptr(), start, scratch)?;
    // SAFETY: a valid element, whose packet has just been written.
    Ok(unsafe { &mut (*scratch).packet })
}

/// Parses the quotation in an ICMP error message; see [`parse::quoted`]. The answer is good until the next call.
#[inline(always)]
pub fn quoted<'a>(ctx: &Skb, at: u32, family: u8) -> Result<&'a mut Packet, Outcome> {
    let scratch = SCRATCH.get_ptr_mut(0).ok_or(Outcome::Truncated)?;
    uncommon_quoted(ctx.as_ptr(), at, family, scratch)?;
    // SAFETY: as in `parse_at`.
    Ok(unsafe { &mut (*scratch).packet })
}

/// Not inlined, so that what is rare does not stand in the way of what is common.
#[inline(never)]
fn uncommon(skb: *mut c_void, start: u32, scratch: *mut Scratch) -> Result<(), Outcome> {
    // SAFETY: a valid element of the map, which nobody else uses on this CPU.
    let (header, packet) = unsafe { (&raw mut (*scratch).header, &mut (*scratch).packet) };
    clear(packet);
    parse::fill_in(&Whole { skb, header }, start, packet)
}

/// Not inlined, as [`uncommon`].
#[inline(never)]
fn uncommon_quoted(
    skb: *mut c_void,
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
pub fn clear(packet: &mut Packet) {
    let words = (&raw mut *packet).cast::<u32>();
    for word in 0..size_of::<Packet>() / 4 {
        // SAFETY: within the packet, which has the alignment of a word; its default is zero in all fields.
        unsafe { words.add(word).write_volatile(0) };
    }
}

/// Stores the source address of the Ethernet header, if it is in the linear part.
#[inline(always)]
pub fn source_mac(ctx: &Skb, to: &mut [u16; 3]) {
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
    /// Of an skb that [`is_single`].
    #[inline(always)]
    pub fn single(ctx: &Skb) -> Self {
        let len = ctx.len();
        Self { skb_len: len, segments: 1, bytes: len, largest: len }
    }

    /// The same packets without what stands in front of an inner one.
    #[inline(always)]
    pub fn without(self, outer: u32) -> Self {
        Self {
            skb_len: self.skb_len.saturating_sub(outer),
            bytes: self.bytes.saturating_sub(self.segments * outer),
            largest: self.largest.saturating_sub(outer),
            ..self
        }
    }

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
pub fn weigh(ctx: &Skb, header_len: u32) -> Weight {
    // SAFETY: the kernel hands a valid context.
    let (skb_len, gso_size, tags) = unsafe {
        let skb = ctx.fields();
        ((*skb).len, (*skb).gso_size, (*skb).vlan_present)
    };
    let tag = tags * TAG;
    if gso_size == 0 {
        let bytes = skb_len + tag;
        return Weight { skb_len, segments: 1, bytes, largest: bytes };
    }
    // SAFETY: as above.
    let segments = segments(skb_len, header_len, unsafe { (*ctx.fields()).gso_segs }, gso_size);
    Weight {
        skb_len,
        segments,
        bytes: skb_len + (segments - 1) * header_len + segments * tag,
        largest: header_len + gso_size + tag,
    }
}

/// Whether it is one packet on the wire, as it stands in memory: no GSO, no tag beside it.
#[inline(always)]
pub fn is_single(ctx: &Skb) -> bool {
    // SAFETY: the kernel hands a valid context.
    unsafe { (*ctx.fields()).gso_size == 0 && (*ctx.fields()).vlan_present == 0 }
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
