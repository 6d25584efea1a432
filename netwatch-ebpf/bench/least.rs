//! The least that finding a flow can cost: the yardstick without its clock and its map.
//!
//! A flow's place is a sum of products of its key, in an array whose look-up the verifier inlines, and is one cache line:
//! the key, packets and bytes. Whoever comes to a taken place takes it over, so that it counts nothing that could be used.
//! What netwatch costs beyond is what it does for its figures; what this costs cannot be saved by doing less.

use aya_ebpf::{btf_maps::Array, macros::btf_map, programs::TcContext};

use crate::yardstick::{Count, ETHERNET, Ethernet, Ipv4, Ipv6, TCP, UDP, header};

const PLACES: usize = 131_072;
const WORDS: usize = 5;
const ODD: [u64; WORDS] = [
    0x9e37_79b9_7f4a_7c15,
    0xbf58_476d_1ce4_e5b9,
    0x94d0_49bb_1331_11eb,
    0xd6e8_feb8_6659_fd93,
    0xa076_1d64_78bd_642f,
];

#[repr(C, align(64))]
struct Place {
    key: [u64; WORDS],
    count: Count,
    pad: u64,
}

const _: () = assert!(size_of::<Place>() == 64);

#[btf_map]
static PLACES_OF_FLOWS: Array<Place, PLACES> = Array::new();

/// Counts a packet.
#[inline(always)]
pub fn count(ctx: &TcContext) -> Option<()> {
    match u16::from_be(header::<Ethernet>(ctx, 0)?.kind) {
        0x0800 => {
            let ip = header::<Ipv4>(ctx, ETHERNET)?;
            let at = ETHERNET + usize::from(ip.version_and_length & 15) * 4;
            let rest = ports(ctx, ip.protocol, at)?;
            find(ctx, [0, u64::from(ip.source), 0, u64::from(ip.destination), rest])
        }
        0x86dd => {
            let ip = header::<Ipv6>(ctx, ETHERNET)?;
            let rest = ports(ctx, ip.next_header, ETHERNET + size_of::<Ipv6>())?;
            // Kept in registers: what is put together in memory is waited for when it is read in larger pieces.
            let word =
                |at: usize| u64::from(ip.addresses[at]) | u64::from(ip.addresses[at + 1]) << 32;
            find(ctx, [word(0), word(2), word(4), word(6), rest])
        }
        _ => None,
    }
}

#[inline(always)]
fn ports(ctx: &TcContext, protocol: u8, at: usize) -> Option<u64> {
    let has_ports = u32::from(protocol) == TCP || u32::from(protocol) == UDP;
    let ports = if has_ports { *header::<u32>(ctx, at)? } else { 0 };
    Some(u64::from(ports) | u64::from(protocol) << 32)
}

#[inline(always)]
fn find(ctx: &TcContext, key: [u64; WORDS]) -> Option<()> {
    let mut sum = 0u64;
    for word in 0..WORDS {
        sum = sum.wrapping_add(key[word].wrapping_mul(ODD[word]));
    }
    let place = PLACES_OF_FLOWS.get_ptr_mut((sum >> 47) as u32)?;
    // SAFETY: a valid element; the bench runs on one CPU.
    let place = unsafe { &mut *place };
    let mut differs = 0;
    for word in 0..WORDS {
        differs |= place.key[word] ^ key[word];
    }
    if differs != 0 {
        place.key = key;
    }
    place.count.packets += 1;
    place.count.bytes += u64::from(ctx.len());
    Some(())
}
