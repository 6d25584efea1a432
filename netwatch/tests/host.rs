//! The real agent on a real Docker engine, real kernel, real Prometheus.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

#[path = "host/dashboards.rs"]
mod dashboards;
#[path = "host/debugging.rs"]
mod debugging;
#[path = "host/dns.rs"]
mod dns;
#[path = "host/doctor.rs"]
mod doctor;
#[path = "host/drops.rs"]
mod drops;
#[path = "host/engine.rs"]
mod engine;
#[path = "host/exact.rs"]
mod exact;
#[path = "host/flows.rs"]
mod flows;
#[path = "host/holders.rs"]
mod holders;
#[path = "host/interfaces.rs"]
mod interfaces;
#[path = "host/labels.rs"]
mod labels;
#[path = "host/lives.rs"]
mod lives;
#[path = "host/names.rs"]
mod names;
#[path = "host/packets.rs"]
mod packets;
#[path = "host/prometheus.rs"]
mod prometheus;
#[path = "host/published.rs"]
mod published;
#[path = "host/questions.rs"]
mod questions;
#[path = "host/refusals.rs"]
mod refusals;
#[path = "host/restart.rs"]
mod restart;
#[path = "host/sandbox.rs"]
mod sandbox;
#[path = "host/scraped.rs"]
mod scraped;
#[path = "host/shop.rs"]
mod shop;
#[path = "host/sight.rs"]
mod sight;
#[path = "host/socket.rs"]
mod socket;
#[path = "host/stopping.rs"]
mod stopping;
#[path = "host/sums.rs"]
mod sums;
#[path = "host/web.rs"]
mod web;

/// ICMP echo over Ethernet with 56 bytes of data.
const PING_BYTES: u64 = 14 + 20 + 8 + 56;
/// Flows end soon after their last packet.
const QUICK: [&str; 2] = ["--flow-idle-timeout", "2s"];
