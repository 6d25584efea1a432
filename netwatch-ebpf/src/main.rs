//! The kernel side of netwatch: the two TC programs, and one that explains drops where the kernel allows it.
//!
//! A packet's way: `account::packet` parses it, counts it at the interface, then in a flow (`flow.rs`) or under the
//! outcome that says why not, copies DNS messages (`message.rs`), and draws samples (`sample.rs`). Both programs leave every packet as it is and return
//! `TC_ACT_UNSPEC`, so that whatever else is attached still runs. They need Linux 5.10 or later.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![expect(
    missing_docs,
    reason = "the program macro leaves the documentation on a function of its own"
)]
#![expect(unsafe_code, reason = "map values, packet bytes and helpers are raw pointers here")]

mod account;
mod clock;
mod drop;
mod echo;
mod entry;
mod express;
mod filter;
mod flow;
mod fragments;
mod index;
mod interface;
mod log;
mod maps;
mod message;
mod quotation;
mod record;
mod sample;
mod skb;
mod tcp;
mod tunnel;
mod verifier;

use aya_ebpf::{
    bindings::TC_ACT_UNSPEC, cty::c_void, macros::raw_tracepoint, programs::RawTracePointContext,
};
use netwatch_common::{
    ABI_VERSION,
    sample::{EGRESS, INGRESS},
};
use skb::Skb;

/// What the interface receives: on a host veth, what the container sends.
#[unsafe(no_mangle)]
#[unsafe(link_section = "classifier")]
pub extern "C" fn netwatch_ingress(skb: *mut c_void) -> i32 {
    account::packet::<INGRESS>(&Skb::new(skb));
    TC_ACT_UNSPEC
}

/// What the interface transmits: on a host veth, what the container is sent.
#[unsafe(no_mangle)]
#[unsafe(link_section = "classifier")]
pub extern "C" fn netwatch_egress(skb: *mut c_void) -> i32 {
    account::packet::<EGRESS>(&Skb::new(skb));
    TC_ACT_UNSPEC
}

/// A packet that the kernel gives up. Optional: the agent goes on without it.
#[raw_tracepoint]
pub fn netwatch_drop(ctx: RawTracePointContext) -> i32 {
    drop::packet(&ctx);
    0
}

/// Compared by the agent with its own before it loads the object.
#[unsafe(no_mangle)]
#[used]
static NETWATCH_ABI_VERSION: u32 = ABI_VERSION;

/// The GPL-compatible licence that the kernel asks for before it lets a program call all helpers.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// Never reached: the programs do not panic, and the verifier would refuse an endless loop.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}
