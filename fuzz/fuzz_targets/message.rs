//! See `netwatch_fuzz::message`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netwatch_fuzz::message(bytes));
