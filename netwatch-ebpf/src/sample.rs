//! One packet in N, drawn at random.
//!
//! The distance from one sample to the next is drawn evenly from 1 … 2N−1, so that a packet which is not taken costs a
//! subtraction and no random number. Why that is unbiased:
//!
//! - *Rate.* The mean distance is N, so that one packet in N is taken in the long run (renewal theorem).
//! - *Place.* The places of the samples modulo any k are a random walk on a circle, which goes to every place in the end
//!   (it can make steps of 1) and favours none, whatever its steps: traffic with a period is not sampled in step.
//! - *Beginning.* A walk that began with such a distance would take the first packets of each CPU half as often as
//!   others. The first distance is the one from a moment chosen blindly to the next sample, of which k comes with a
//!   probability in proportion to the distances that are at least k long, 2N−k of them. That is how often two different
//!   numbers out of 2N lie k apart. With it every packet is taken with probability 1/N, the first as the millionth.

use aya_ebpf::{helpers::bpf_get_prandom_u32, programs::TcContext};
use netwatch_common::{
    config::{CpuState, Settings},
    flow::Tally,
    sample::{SAMPLE_BYTES, Sample},
};

use crate::{
    clock,
    maps::{CPUS, SAMPLES, SETTINGS},
    record,
};

/// Counts down to the next sample of this CPU and takes it when it is due. `weight` is what the packet counts for.
#[inline(always)]
pub fn draw<const HOOK: u8>(ctx: &TcContext, cpu: u32, ifindex: u32, weight: &Tally) {
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
        state.sample_countdown = first_distance(rate);
    }
    if state.sample_countdown > 1 {
        state.sample_countdown -= 1;
        return;
    }
    state.sample_countdown = 1 + below(2 * rate - 1);
    take::<HOOK>(ctx, settings, state, ifindex, weight);
}

/// How far two different numbers out of 2N lie apart.
#[inline(always)]
fn first_distance(rate: u32) -> u32 {
    let one = below(2 * rate);
    let other = below(2 * rate - 1);
    let other = if other < one { other } else { other + 1 };
    one.abs_diff(other)
}

/// A random number below `bound`, each of them equally likely to within `bound` / 2^32.
#[inline(always)]
fn below(bound: u32) -> u32 {
    // SAFETY: a helper without arguments.
    let random = unsafe { bpf_get_prandom_u32() };
    ((u64::from(random) * u64::from(bound)) >> 32) as u32
}

#[inline(always)]
fn take<const HOOK: u8>(
    ctx: &TcContext,
    settings: *const Settings,
    state: &mut CpuState,
    ifindex: u32,
    weight: &Tally,
) {
    // SAFETY: the kernel hands a valid context, and the settings are a valid element.
    let (gso_size, wanted) = unsafe {
        ((*ctx.skb.skb).gso_size, (&raw const (*settings).sample_length).read_volatile())
    };
    let header = Sample {
        time_ns: clock::exact(),
        len: ctx.len(),
        wire_len: weight.bytes as u32,
        segments: weight.segments as u32,
        gso_size,
        ifindex,
        rate: state.sample_rate,
        hook: HOOK,
        pad: [0; 7],
    };
    let len = ctx.len().min(wanted).min(SAMPLE_BYTES as u32);
    if record::send(&SAMPLES, ctx, header, 0, len) {
        state.samples += 1;
    } else {
        state.samples_lost += 1;
    }
}
