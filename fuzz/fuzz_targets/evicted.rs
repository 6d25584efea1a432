//! See `netwatch_fuzz::evicted`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netwatch_fuzz::evicted(bytes));
