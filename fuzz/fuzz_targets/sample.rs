//! See `netwatch_fuzz::sample`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netwatch_fuzz::sample(bytes));
