//! What is only there for the verifier.

use core::arch::asm;

/// `way`, of which the verifier is to know only that it is one of so many.
///
/// It follows constants, and goes through all that comes behind a search once for each place at which something may have
/// been found: four interfaces by four entries by the two of segmentation, at each of the ways of a packet. That is a third
/// of a million instructions and seconds at each start; without the constants a tenth of it. Two exclusive ors with any
/// number that it cannot know leave the value and take the knowledge.
#[inline(always)]
pub fn any_of(ways: u32, way: u32, unknown: u64) -> u32 {
    let way = any(way.into(), unknown) as u32 & (ways.next_power_of_two() - 1);
    if way < ways { way } else { 0 }
}

/// `value`, of which the verifier is to know nothing.
#[inline(always)]
pub fn any(mut value: u64, unknown: u64) -> u64 {
    // SAFETY: changes one register, to what it was.
    unsafe {
        asm!("{0} ^= {1}", "{0} ^= {1}", inout(reg) value, in(reg) unknown, options(pure, nomem, nostack));
    }
    value
}

/// `pointer`, of which the compiler is to know nothing: it must read what is there, but only what is used of it.
#[inline(always)]
pub fn any_pointer<T>(mut pointer: *const T) -> *const T {
    // SAFETY: changes nothing.
    unsafe { asm!("/* {0} */", inout(reg) pointer, options(pure, nomem, nostack)) };
    pointer
}
