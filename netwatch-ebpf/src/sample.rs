//! One packet in N, drawn at random.

use aya_ebpf::{
    cty::c_void,
    helpers::{bpf_get_prandom_u32, bpf_skb_load_bytes},
    programs::TcContext,
};
use netwatch_common::{
    config::CpuState,
    sample::{SAMPLE_BYTES, Sample},
};

use crate::maps::{CPUS, SAMPLES, SETTINGS};

/// Counts down to the next sample of this CPU and takes it when it is due.
///
/// The distance between two samples is drawn evenly from 1 … 2N−1: N on average, without a random number for the
/// packets in between, and not in step with periodic traffic.
#[inline(always)]
pub fn draw<const HOOK: u8>(ctx: &TcContext, cpu: u32, ifindex: u32, now: u64) {
    let (Some(settings), Some(state)) = (SETTINGS.get_ptr(0), CPUS.get_ptr_mut(cpu)) else {
        return;
    };
    // SAFETY: valid elements; only this CPU writes its state.
    let (rate, state) =
        unsafe { ((&raw const (*settings).sample_rate).read_volatile(), &mut *state) };
    if rate == 0 {
        return;
    }
    if state.sample_rate != rate {
        state.sample_rate = rate;
        state.sample_countdown = skip(rate);
    }
    if state.sample_countdown > 1 {
        state.sample_countdown -= 1;
        return;
    }
    state.sample_countdown = skip(rate);
    take::<HOOK>(ctx, state, ifindex, rate, now);
}

#[inline(always)]
fn skip(rate: u32) -> u32 {
    // Above 2^31 the span would not fit; nobody samples one packet in two thousand million.
    let span = if rate > i32::MAX as u32 { u32::MAX } else { rate * 2 - 1 };
    // SAFETY: a helper without arguments.
    1 + (unsafe { bpf_get_prandom_u32() } % span)
}

#[inline(always)]
fn take<const HOOK: u8>(ctx: &TcContext, state: &mut CpuState, ifindex: u32, rate: u32, now: u64) {
    let Some(mut record) = SAMPLES.reserve_untyped::<Sample>(0) else {
        state.samples_lost += 1;
        return;
    };
    let len = ctx.len();
    let captured = if len > SAMPLE_BYTES as u32 { SAMPLE_BYTES as u32 } else { len };
    let sample = record.as_mut_ptr();
    // SAFETY: the ring gave us a whole record; at most SAMPLE_BYTES bytes are written into its `bytes`.
    let loaded = unsafe {
        (*sample).time_ns = now;
        (*sample).len = len;
        (*sample).ifindex = ifindex;
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
