//! See `netwatch_fuzz::parse`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netwatch_fuzz::parse(bytes));
