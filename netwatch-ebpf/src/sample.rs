//! One packet in N, drawn at random.
//!
//! The distance from one sample to the next is drawn evenly from 1 … 2N−1, so that a packet which is not taken costs a
//! subtraction and no random number. Why that is unbiased:
//!
//! - *Rate.* The mean distance is N, so that one packet in N is taken in the long run (renewal theorem).
//! - *Place.* The places of the samples modulo any k are a random walk on a circle, which goes to every place in the end
//!   (it can make steps of 1) and favours none, whatever its steps: traffic with a period is not sampled in step.
//! - *Beginning.* A walk that began with such a distance would take the first packets of each interface and CPU half as often as
//!   others. The first distance is the one from a moment chosen blindly to the next sample, of which k comes with a
//!   probability in proportion to the distances that are at least k long, 2N−k of them. That is how often two different
//!   numbers out of 2N lie k apart. With it every packet is taken with probability 1/N, the first as the millionth.

use aya_ebpf::helpers::bpf_get_prandom_u32;
use netwatch_common::{
    cpu::CpuState,
    interface::InterfaceCounters,
    sample::{SAMPLE_BYTES, Sample},
};

use crate::{
    account, clock, interface,
    maps::{CPUS, SAMPLES},
    record,
    skb::{self, Skb},
};

/// Packets that pass before sampling is looked at again while it is off.
const RECHECK: u32 = 1 << 16;

/// Counts down to the next sample at this interface on this CPU, and takes it when it is due.
#[inline(always)]
pub fn draw<const HOOK: u8>(
    ctx: &Skb,
    number: u32,
    counters: *mut InterfaceCounters,
    header_len: u32,
) {
    // SAFETY: a valid element; but for a 0 of the agent's, only this CPU writes it.
    let countdown = unsafe { &mut (*counters).sample_countdown };
    if *countdown > 1 {
        *countdown -= 1;
        return;
    }
    let is_drawn = *countdown == 1;
    *countdown = next::<HOOK>(ctx, number, is_drawn, header_len);
}

/// The same for whoever does not have the interface at hand.
#[inline(never)]
pub fn draw_anew<const HOOK: u8>(ctx: &Skb, header_len: u32) {
    let number = account::cpu();
    if let Some(interface) = interface::find(number, skb::ifindex(ctx)) {
        draw::<HOOK>(ctx, number, interface.counters, header_len);
    }
}

/// Takes a sample if it is due, and draws the distance to the next. Where none was drawn yet, this packet is the first of
/// those that may be taken.
#[inline(never)]
fn next<const HOOK: u8>(ctx: &Skb, number: u32, is_drawn: bool, header_len: u32) -> u32 {
    let Some(cpu) = CPUS.get_ptr_mut(number) else { return RECHECK };
    // SAFETY: a valid element. The agent writes the settings as aligned words; only this CPU writes the rest.
    let (rate, state) = unsafe { ((&raw const (*cpu).sample_rate).read_volatile(), &mut *cpu) };
    if rate == 0 {
        return RECHECK;
    }
    let distance = if is_drawn { 1 } else { first_distance(rate) };
    if distance > 1 {
        return distance - 1;
    }
    take::<HOOK>(ctx, state, rate, header_len);
    1 + below(2 * rate - 1)
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
fn take<const HOOK: u8>(ctx: &Skb, state: &mut CpuState, rate: u32, header_len: u32) {
    // SAFETY: the kernel hands a valid context, and the state is a valid element.
    let (gso_size, wanted) =
        unsafe { ((*ctx.fields()).gso_size, (&raw const state.sample_length).read_volatile()) };
    let weight = skb::weigh(ctx, header_len);
    let header = Sample {
        time_ns: clock::exact(),
        len: weight.skb_len,
        wire_len: weight.bytes,
        segments: weight.segments,
        gso_size,
        ifindex: skb::ifindex(ctx),
        rate,
        hook: u32::from(HOOK),
        pad: 0,
    };
    let len = weight.skb_len.min(wanted).min(SAMPLE_BYTES as u32);
    if record::send(&SAMPLES, ctx, header, 0, len) {
        state.samples += 1;
    } else {
        state.samples_lost += 1;
    }
}
