//! What the tests on real kernels share.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod netns;
