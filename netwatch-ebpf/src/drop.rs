//! Why the kernel gave up a packet, and where: the `kfree_skb` tracepoint.
//!
//! Counts every drop at an observed interface of the host and in an observed namespace of a container, exactly, and
//! tells the flows of some of them. A drop anywhere else costs a few reads. Not part of the ledger: a dropped packet may
//! have passed a hook before, or none.
//!
//! Nothing here trusts an address: everything is read with `bpf_probe_read_kernel`, which refuses what is not mapped.
//! The kernel never runs the program on a CPU where it is running already (`__bpf_trace_run`), so what is kept per CPU
//! has one writer. Drops that it misses for that reason it counts itself (`recursion_misses`).

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    cty::c_void,
    helpers::{
        bpf_get_smp_processor_id, bpf_probe_read_kernel,
        generated::bpf_probe_read_kernel as read_to,
    },
    programs::RawTracePointContext,
};
use netwatch_common::{
    drop::{DETAIL_COST_NS, DETAIL_CREDIT_NS, DropKey, DropRecord, DropState, HOST, NOT_TOLD},
    outcome::Outcome,
    parse::{self, Packet, Reader},
};

use crate::{
    clock, interface,
    maps::{DROP_RECORDS, DROP_SCRATCH, DROP_STATES, DROPS, NAMESPACES},
    skb::{self, Bytes, HEADER_BYTES, Scratch},
};

/// `skb->protocol` as it stands in memory (linux/if_ether.h).
const IPV4: u16 = 0x0800_u16.to_be();
const IPV6: u16 = 0x86dd_u16.to_be();
/// The last bit of `skb->_skb_refdst` is no part of the address (`SKB_DST_NOREF`).
const DST_MASK: usize = !1;

/// A fact about the running kernel. Each is read by itself: the verifier knows the value then, and leaves out what the
/// kernel's tracepoint does not have.
macro_rules! kernel {
    ($field:ident) => {{
        let facts = (&raw const crate::maps::KERNEL).cast::<netwatch_common::drop::KernelFacts>();
        // SAFETY: a `Global` is transparent, and this one holds the facts.
        unsafe { (&raw const (*facts).$field).read_volatile() }
    }};
}

/// Where a packet was.
struct Place {
    namespace: u32,
    ifindex: u32,
    /// At a device, not with a socket.
    on_the_way: bool,
}

/// Accounts for one packet that the kernel gives up.
#[inline(always)]
pub fn packet(ctx: &RawTracePointContext) {
    let skb: usize = ctx.arg(0);
    let reason = if kernel!(arguments) > 2 { ctx.arg::<u32>(2) } else { NOT_TOLD };
    let [consumed, purged] = kernel!(arrived);
    if reason == consumed || reason == purged {
        return;
    }
    // SAFETY: a helper without arguments.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let Some(place) = place(ctx, skb, cpu) else { return };
    let Some(state) = DROP_STATES.get_ptr_mut(cpu) else { return };
    // SAFETY: a valid element; only this CPU writes it.
    let state = unsafe { &mut *state };
    count(&place, reason, state);
    if !tell(skb, &place, reason, state).unwrap_or(false) {
        state.details_lost += 1;
    }
}

/// Where the packet was: at its device, or else with the socket that received or sent it. `None` where drops are not
/// observed; the namespace comes first, since it says so soonest.
#[inline(always)]
fn place(ctx: &RawTracePointContext, skb: usize, cpu: u32) -> Option<Place> {
    // On its way into a socket's queue a packet has something else in the place of its device.
    let device: usize = read(skb + kernel!(skb_dev) as usize)?;
    if let Some(number) = namespace_at(device, kernel!(device_net)) {
        let namespace = observed(number)?;
        return at(cpu, namespace, read(device + kernel!(device_ifindex) as usize)?, true);
    }
    let mut sock = if kernel!(arguments) > 3 { ctx.arg(3) } else { 0 };
    if sock == 0 {
        sock = read(skb + kernel!(skb_sk) as usize)?;
    }
    let namespace = observed(namespace_at(sock, kernel!(sock_net))?)?;
    at(cpu, namespace, interface_of(skb), false)
}

/// The kernel's number of the namespace that something belongs to.
#[inline(always)]
fn namespace_at(address: usize, net: u32) -> Option<u32> {
    if address == 0 {
        return None;
    }
    let net: usize = read(address + net as usize)?;
    read(net + kernel!(net_inum) as usize)
}

/// The agent's identifier of a namespace, if drops there are observed.
#[inline(always)]
fn observed(number: u32) -> Option<u32> {
    let id = NAMESPACES.get_ptr(number)?;
    // SAFETY: a valid element, which the agent writes once.
    Some(unsafe { *id })
}

/// A place in an observed namespace; of the host's, only interfaces that are observed themselves.
#[inline(always)]
fn at(cpu: u32, namespace: u32, ifindex: u32, on_the_way: bool) -> Option<Place> {
    // Free slots have the index 0.
    if namespace == HOST && (ifindex == 0 || interface::find(cpu, ifindex).is_none()) {
        return None;
    }
    Some(Place { namespace, ifindex, on_the_way })
}

/// Of a packet without a device: where it came in, or where its route leads out.
#[inline(always)]
fn interface_of(skb: usize) -> u32 {
    match read::<u32>(skb + kernel!(skb_iif) as usize) {
        Some(ifindex) if ifindex != 0 => return ifindex,
        _ => {}
    }
    let route = read::<usize>(skb + kernel!(skb_dst) as usize).unwrap_or(0) & DST_MASK;
    if route == 0 {
        return 0;
    }
    read::<usize>(route + kernel!(dst_dev) as usize)
        .and_then(|device| read(device + kernel!(device_ifindex) as usize))
        .unwrap_or(0)
}

#[inline(always)]
fn count(place: &Place, reason: u32, state: &mut DropState) {
    let ifindex = if place.namespace == HOST { place.ifindex } else { 0 };
    let key = DropKey { reason, namespace: place.namespace, ifindex, pad: 0 };
    let counter = DROPS.get_ptr_mut(&key).or_else(|| {
        // Another CPU may be first, or the map may be full: the second look tells.
        let _ = DROPS.insert(&key, 0, BPF_NOEXIST.into());
        DROPS.get_ptr_mut(&key)
    });
    state.counted += 1;
    match counter {
        // SAFETY: this CPU's value of a valid element; only this CPU writes it.
        Some(counter) => unsafe { *counter += 1 },
        None => state.other += 1,
    }
}

/// Tells which flow the packet belonged to. `Some(true)` also where there is nothing to tell.
#[inline(always)]
fn tell(skb: usize, place: &Place, reason: u32, state: &mut DropState) -> Option<bool> {
    let [unspecified, flooded] = kernel!(untold);
    // A kernel without reasons frees what a socket has done with (each FIN) as it does what it drops.
    let maybe_arrived = reason == NOT_TOLD && !place.on_the_way;
    if reason == unspecified || reason == flooded || maybe_arrived {
        return Some(true);
    }
    let family = match read(skb + kernel!(skb_protocol) as usize)? {
        IPV4 => 4,
        IPV6 => 6,
        _ => return Some(true),
    };
    if !spend(state) {
        return Some(false);
    }
    let packet = parse(skb, family).ok()?;
    let mut record = DROP_RECORDS.reserve_untyped::<DropRecord>(0)?;
    let out = record.as_mut_ptr();
    // SAFETY: the ring gave us a whole record, of which every field is written.
    unsafe {
        // Through the stack: from memory to memory it would become a call of memmove, which the verifier refuses.
        let ([a, b], [c, d]) = (packet.source.0, packet.destination.0);
        (*out).source.0 = [a, b];
        (*out).destination.0 = [c, d];
        (*out).source_port = packet.source_port;
        (*out).destination_port = packet.destination_port;
        (*out).protocol = packet.protocol.into();
        (*out).reason = reason;
        (*out).namespace = place.namespace;
        (*out).ifindex = place.ifindex;
        (*out).pad_end = 0;
    }
    record.submit(0);
    Some(true)
}

/// Takes a detail's cost from this CPU's credit, if there is enough.
#[inline(always)]
fn spend(state: &mut DropState) -> bool {
    let now = clock::recent();
    // Two writers of the clock can leave the earlier of two times.
    if now > state.refilled_ns {
        let credit = state.credit_ns + (now - state.refilled_ns);
        state.credit_ns = if credit > DETAIL_CREDIT_NS { DETAIL_CREDIT_NS } else { credit };
        state.refilled_ns = now;
    }
    if state.credit_ns < DETAIL_COST_NS {
        return false;
    }
    state.credit_ns -= DETAIL_COST_NS;
    true
}

/// The linear part of a dropped packet from its IP header on. Each header is copied out by itself: its length is a
/// constant, which is all that old verifiers understand.
struct Remains {
    start: usize,
    len: u32,
    header: *mut [u8; HEADER_BYTES],
}

impl Reader for Remains {
    type Header<const N: usize> = Bytes;

    #[inline(always)]
    fn header<const N: usize>(&self, offset: u32) -> Option<Bytes> {
        const { assert!(N <= HEADER_BYTES) };
        if offset + N as u32 > self.len {
            return None;
        }
        let from = (self.start + offset as usize) as *const c_void;
        // SAFETY: room for N bytes; what cannot be read is refused.
        let result = unsafe { read_to(self.header.cast(), N as u32, from) };
        if result == 0 { Some(Bytes(self.header.cast())) } else { None }
    }
}

/// Parses the linear part of the packet from its IP header on.
#[inline(always)]
fn parse<'a>(skb: usize, family: u8) -> Result<&'a Packet, Outcome> {
    let scratch = DROP_SCRATCH.get_ptr_mut(0).ok_or(Outcome::Truncated)?;
    let place = || {
        let head: usize = read(skb + kernel!(skb_head) as usize)?;
        let start = read::<u16>(skb + kernel!(skb_network_header) as usize)? as u32;
        let tail: u32 = read(skb + kernel!(skb_tail) as usize)?;
        Some((head + start as usize, tail.saturating_sub(start)))
    };
    let (start, len) = place().ok_or(Outcome::Truncated)?;
    fill_in(start, len, family, scratch)?;
    // SAFETY: a valid element, whose packet has just been written.
    Ok(unsafe { &(*scratch).packet })
}

/// Not inlined: the verifier goes through it once.
#[inline(never)]
fn fill_in(start: usize, len: u32, family: u8, scratch: *mut Scratch) -> Result<(), Outcome> {
    // SAFETY: a valid element of the map, which nobody else uses on this CPU.
    let (header, packet) = unsafe { (&raw mut (*scratch).header, &mut (*scratch).packet) };
    skb::clear(packet);
    parse::fill_in_ip(&Remains { start, len, header }, 0, family, packet)
}

/// What stands at an address of the kernel.
#[inline(always)]
fn read<T>(address: usize) -> Option<T> {
    // SAFETY: the helper refuses an address that is not mapped; `T` is an integer.
    unsafe { bpf_probe_read_kernel(address as *const T) }.ok()
}
