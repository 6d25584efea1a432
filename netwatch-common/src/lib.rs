//! What the kernel side and the agent share: the layout of every byte that passes between them, and the packet
//! parser.
//!
//! The crate is `no_std` and has no dependencies. All ABI types are `repr(C)` with explicit padding and without
//! `bool`, `Option` or data-carrying enums, so that any byte pattern is a valid value. [`ABI_VERSION`] is compared by
//! the agent with the one in the object before it loads it.
#![no_std]
#![expect(
    clippy::inline_always,
    reason = "the kernel side has no calls to spare, and the verifier follows straight code best"
)]

pub mod config;
pub mod cpu;
pub mod drop;
pub mod filter;
pub mod flow;
pub mod header;
pub mod index;
pub mod interface;
pub mod message;
pub mod outcome;
pub mod parse;
pub mod record;
pub mod sample;

pub use config::ABI_VERSION;
