//! See `netwatch_fuzz::inner`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netwatch_fuzz::inner(bytes));
