//! What the tests on real kernels and real engines share.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says why"
)]

pub mod agent;
pub mod cgroup;
pub mod counters;
pub mod cpu;
pub mod dns;
pub mod docker;
pub mod engine;
pub mod events;
pub mod frames;
pub mod held;
pub mod http;
pub mod kept;
pub mod lasting;
pub mod ledger;
pub mod metrics;
pub mod mounts;
pub mod netns;
pub mod offload;
pub mod order;
pub mod outside;
pub mod programs;
pub mod proxy;
pub mod remains;
pub mod seccomp;
pub mod seen;
pub mod serial;
pub mod shell;
pub mod stranger;
pub mod user;
pub mod veth;
pub mod wait;
pub mod watched;
