//! What the tests on real kernels and real engines share.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod agent;
pub mod counters;
pub mod docker;
pub mod events;
pub mod http;
pub mod lab;
pub mod metrics;
pub mod netns;
pub mod proxy;
pub mod remains;
pub mod serial;
pub mod shell;
pub mod wait;
