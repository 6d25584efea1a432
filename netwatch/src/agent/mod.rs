//! The agent: the one place that joins the rooms.

pub mod config;
