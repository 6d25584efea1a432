//! Programs of the bench; none of them is shipped.
//!
//! `drive` makes the packet one of another flow and calls the program under test, which may be `empty` (so that the cost
//! of driving can be subtracted), `yardstick`, `least`, or netwatch's own.
#![no_std]
#![no_main]
#![expect(
    missing_docs,
    reason = "the program macro leaves the documentation on a function of its own"
)]
#![expect(unsafe_code, reason = "map values, packet bytes and helpers are raw pointers here")]

mod drive;
mod least;
mod yardstick;

use aya_ebpf::{
    bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC},
    btf_maps::{Array, ProgramArray},
    macros::{btf_map, classifier},
    programs::TcContext,
};
use drive::Drive;

/// Ports from here on vary: no service has one of them.
const FIRST_PORT: u32 = 0x8000;
/// How many of them, as bits; what is beyond varies the address.
const PORT_BITS: u32 = 14;
/// Bytes of a packet that the driver may write to: a power of two.
const REACH: usize = 128;

/// The driver's state.
#[btf_map]
static DRIVE: Array<Drive, 1> = Array::new();

/// The programs under test.
#[btf_map]
static PROGRAMS: ProgramArray<8> = ProgramArray::new();

/// Turns the packet into the next one and calls the program under test. `TC_ACT_SHOT` says that it could not.
#[classifier]
pub fn drive(ctx: TcContext) -> i32 {
    let Some(drive) = DRIVE.get_ptr_mut(0) else { return TC_ACT_SHOT };
    // SAFETY: a valid element; the bench runs on one CPU.
    let drive = unsafe { &mut *drive };
    let flow = drive.next;
    let sequence = drive.round.wrapping_mul(drive.payload);
    drive.next += 1;
    if drive.next >= drive.flows {
        drive.next = 0;
        drive.round += 1;
    }
    let port = FIRST_PORT | (flow & ((1 << PORT_BITS) - 1));
    let address = flow >> PORT_BITS;
    write(
        &ctx,
        drive.address_at,
        drive.address | u64::from(address.to_be()) << (drive.address_shift & 63),
    );
    write(
        &ctx,
        drive.ports_at,
        drive.ports | u64::from((port as u16).to_be()) | u64::from(sequence.to_be()) << 32,
    );
    // SAFETY: nothing here has to be dropped.
    unsafe { PROGRAMS.tail_call(&ctx, drive.program) };
    TC_ACT_SHOT
}

#[inline(always)]
fn write(ctx: &TcContext, at: u32, word: u64) {
    let start = ctx.data() + (at as usize & (REACH - 1));
    if start + size_of::<u64>() <= ctx.data_end() {
        // SAFETY: within the packet; programs may write to it at any alignment.
        unsafe { (start as *mut u64).write_unaligned(word) };
    }
}

/// What the loop and the driver cost by themselves.
#[classifier]
pub fn empty(_ctx: TcContext) -> i32 {
    TC_ACT_UNSPEC
}

/// A plain flow counter.
#[classifier]
pub fn yardstick(ctx: TcContext) -> i32 {
    yardstick::count(&ctx);
    TC_ACT_UNSPEC
}

/// The least that finding a flow can cost.
#[classifier]
pub fn least(ctx: TcContext) -> i32 {
    // What is no flow of its kind costs less.
    let _ = least::count(&ctx);
    TC_ACT_UNSPEC
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// Never reached: the programs do not panic, and the verifier would refuse an endless loop.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}
