//! One packet in N, drawn at random.

use aya_ebpf::{
    cty::c_void,
    helpers::{bpf_get_prandom_u32, bpf_skb_load_bytes},
    programs::TcContext,
};
use netwatch_common::{
    cpu::CpuState,
    interface::InterfaceCounters,
    sample::{SAMPLE_BYTES, Sample},
};

use crate::{
    clock,
    maps::{CPUS, SAMPLES},
    skb,
};

/// Counts down to the next sample at this interface on this CPU, and takes it when it is due.
///
/// The distance between two samples is drawn evenly from 1 … 2N−1: N on average, without a random number for the
/// packets in between, and not in step with periodic traffic.
#[inline(always)]
pub fn draw<const HOOK: u8>(ctx: &TcContext, number: u32, counters: *mut InterfaceCounters) {
    // SAFETY: a valid element; but for a 0 of the agent's, only this CPU writes it.
    let countdown = unsafe { &mut (*counters).sample_countdown };
    if *countdown > 1 {
        *countdown -= 1;
        return;
    }
    let is_drawn = *countdown == 1;
    *countdown = next::<HOOK>(ctx, number, is_drawn);
}

/// Packets that pass before sampling is looked at again while it is off.
const RECHECK: u32 = 1 << 16;

/// Takes a sample if it is due, and draws the distance to the next. Where none was drawn yet, this packet is the first of
/// those that may be.
#[inline(never)]
fn next<const HOOK: u8>(ctx: &TcContext, number: u32, is_drawn: bool) -> u32 {
    let Some(cpu) = CPUS.get_ptr_mut(number) else { return RECHECK };
    // SAFETY: a valid element. The agent writes the rate as an aligned word; only this CPU writes the rest.
    let (rate, state) = unsafe { ((&raw const (*cpu).sample_rate).read_volatile(), &mut *cpu) };
    if rate == 0 {
        return RECHECK;
    }
    let distance = if is_drawn { 1 } else { skip(rate) };
    if distance > 1 {
        return distance - 1;
    }
    take::<HOOK>(ctx, state, rate);
    skip(rate)
}

#[inline(always)]
fn skip(rate: u32) -> u32 {
    // Above 2^31 the span would not fit; nobody samples one packet in two thousand million.
    let span = if rate > i32::MAX as u32 { u32::MAX } else { rate * 2 - 1 };
    // SAFETY: a helper without arguments.
    1 + (unsafe { bpf_get_prandom_u32() } % span)
}

#[inline(always)]
fn take<const HOOK: u8>(ctx: &TcContext, state: &mut CpuState, rate: u32) {
    let Some(mut record) = SAMPLES.reserve_untyped::<Sample>(0) else {
        state.samples_lost += 1;
        return;
    };
    let len = ctx.len();
    let captured = if len > SAMPLE_BYTES as u32 { SAMPLE_BYTES as u32 } else { len };
    let sample = record.as_mut_ptr();
    // SAFETY: the ring gave us a whole record; at most SAMPLE_BYTES bytes are written into its `bytes`.
    let loaded = unsafe {
        (*sample).time_ns = clock::recent();
        (*sample).len = len;
        (*sample).ifindex = skb::ifindex(ctx);
        (*sample).rate = rate;
        (*sample).captured = captured as u16;
        (*sample).hook = HOOK;
        (*sample).pad = 0;
        captured != 0
            && bpf_skb_load_bytes(
                ctx.skb.skb.cast(),
                0,
                (&raw mut (*sample).bytes).cast::<c_void>(),
                captured,
            ) == 0
    };
    if loaded {
        record.submit(0);
        state.samples += 1;
    } else {
        record.discard(0);
        state.samples_lost += 1;
    }
}
