//! The time of a packet.

use core::cell::UnsafeCell;

use aya_ebpf::helpers::bpf_ktime_get_ns;

/// A word that programs on all CPUs and the agent read and write whole.
#[repr(transparent)]
struct Word(UnsafeCell<u64>);

// SAFETY: only read and written by single instructions, which an aligned word makes indivisible.
unsafe impl Sync for Word {}

/// A recent `CLOCK_MONOTONIC` in nanoseconds. It spares the programs a clock read per packet (about 50 ns with
/// `bpf_ktime_get_ns`). The agent refreshes it every 10 ms; the programs do so on the way, so that time goes on without it.
/// It is all that lies in the section `.bss`, which programs read without a look-up.
#[unsafe(no_mangle)]
static CLOCK: Word = Word(UnsafeCell::new(0));

/// All CPUs read the word: it is not written more often than this, so that they do not take it from each other.
const GRAIN_NS: u64 = 1_000_000;

/// The time as of the last refresh: no helper call.
#[inline(always)]
pub fn recent() -> u64 {
    // SAFETY: see `Word`.
    unsafe { CLOCK.0.get().read_volatile() }
}

/// The time now.
#[inline(always)]
pub fn exact() -> u64 {
    // SAFETY: a helper without arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    if now > recent() + GRAIN_NS {
        // SAFETY: see `Word`; of two writers either leaves a time that is recent.
        unsafe { CLOCK.0.get().write_volatile(now) };
    }
    now
}
