//! See `netwatch_fuzz::quoted`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netwatch_fuzz::quoted(bytes));
