//! The yardstick: what an ordinary eBPF flow counter does for each packet, and nothing besides.
//!
//! One array counter, Ethernet with IPv4 or IPv6, the ports of TCP and UDP, the coarse clock, and one look-up in a
//! per-CPU hash by the directed 5-tuple; a flow that is not there is inserted. No GSO, no flags, no extension headers, no
//! word of what it did not count.

use core::mem::MaybeUninit;

use aya_ebpf::{
    btf_maps::{Array, PerCpuHashMap},
    helpers::bpf_ktime_get_coarse_ns,
    macros::btf_map,
    programs::TcContext,
};

pub const ETHERNET: usize = size_of::<Ethernet>();
pub const TCP: u32 = 6;
pub const UDP: u32 = 17;
const MAPPED: u32 = u32::from_be(0xffff);

#[repr(C)]
pub struct Ethernet {
    addresses: [u16; 6],
    pub kind: u16,
}

#[repr(C)]
pub struct Ipv4 {
    pub version_and_length: u8,
    before: [u8; 8],
    pub protocol: u8,
    checksum: u16,
    pub source: u32,
    pub destination: u32,
}

#[repr(C)]
pub struct Ipv6 {
    before: [u8; 6],
    pub next_header: u8,
    hop_limit: u8,
    /// Source and destination.
    pub addresses: [u32; 8],
}

/// The directed 5-tuple; an IPv4 address is mapped into an IPv6 one.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Key {
    /// Source and destination.
    addresses: [u32; 8],
    ports: u32,
    protocol: u32,
}

#[repr(C)]
pub struct Count {
    pub packets: u64,
    pub bytes: u64,
}

#[repr(C)]
struct Flow {
    count: Count,
    last_ns: u64,
}

#[btf_map]
static TOTAL: Array<Count, 1> = Array::new();

#[btf_map]
static COUNTED: PerCpuHashMap<Key, Flow, 131_072> = PerCpuHashMap::new();

/// Counts a packet.
#[inline(always)]
pub fn count(ctx: &TcContext) {
    let bytes = u64::from(ctx.len());
    if let Some(total) = TOTAL.get_ptr_mut(0) {
        // SAFETY: a valid element.
        unsafe {
            (*total).packets += 1;
            (*total).bytes += bytes;
        }
    }
    let mut place = MaybeUninit::uninit();
    let Some(key) = key(ctx, &mut place) else { return };
    // SAFETY: a helper without arguments.
    let last_ns = unsafe { bpf_ktime_get_coarse_ns() };
    match COUNTED.get_ptr_mut(key) {
        // SAFETY: a valid element; only this CPU writes it.
        Some(flow) => unsafe {
            (*flow).count.packets += 1;
            (*flow).count.bytes += bytes;
            (*flow).last_ns = last_ns;
        },
        None => {
            let first = Flow { count: Count { packets: 1, bytes }, last_ns };
            // A full map refuses, and an ordinary counter leaves it at that.
            let _ = COUNTED.insert(key, &first, 0);
        }
    }
}

/// Writes the key where it stands: one that is returned, or cleared first, is written twice.
#[inline(always)]
fn key<'a>(ctx: &TcContext, place: &'a mut MaybeUninit<Key>) -> Option<&'a Key> {
    let (key, transport) = match u16::from_be(header::<Ethernet>(ctx, 0)?.kind) {
        0x0800 => {
            let ip = header::<Ipv4>(ctx, ETHERNET)?;
            let key = place.write(Key {
                addresses: [0, 0, MAPPED, ip.source, 0, 0, MAPPED, ip.destination],
                ports: 0,
                protocol: u32::from(ip.protocol),
            });
            (key, ETHERNET + usize::from(ip.version_and_length & 15) * 4)
        }
        0x86dd => {
            let ip = header::<Ipv6>(ctx, ETHERNET)?;
            let key = place.write(Key {
                addresses: ip.addresses,
                ports: 0,
                protocol: u32::from(ip.next_header),
            });
            (key, ETHERNET + size_of::<Ipv6>())
        }
        _ => return None,
    };
    if key.protocol == TCP || key.protocol == UDP {
        key.ports = *header::<u32>(ctx, transport)?;
    }
    Some(key)
}

/// A header that is known to be there.
#[inline(always)]
pub fn header<T>(ctx: &TcContext, at: usize) -> Option<&T> {
    let start = ctx.data() + at;
    if start + size_of::<T>() > ctx.data_end() {
        return None;
    }
    // SAFETY: within the packet, and any bytes are a header. Its words may stand at any address, as in a counter written
    // in C: taking them apart into bytes would make the yardstick dearer than it is.
    Some(unsafe { &*(start as *const T) })
}
