//! netwatch: an eBPF traffic observer for Docker hosts. See ARCHITECTURE.md for a packet's way through the rooms.

pub mod agent;
pub mod cli;
pub mod datapath;
pub mod dns;
pub mod doctor;
pub mod flow;
pub mod identity;
pub mod metrics;
pub mod model;
pub mod output;
mod sandbox;
pub mod serve;
