//! netwatch: an eBPF traffic observer for Docker hosts. See ARCHITECTURE.md for a packet's way through the rooms.

pub mod agent;
pub mod identity;
pub mod model;
