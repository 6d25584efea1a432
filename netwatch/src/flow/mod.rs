//! From observations to conversations: merges CPUs, hooks and directions, decides who began, says when a flow starts,
//! goes on and ends, and sums up who talks to whom.
//!
//! Pure: the clock and the names are passed in.

mod conversation;
mod edges;
mod initiator;
mod tracker;

pub use edges::Edges;
pub use tracker::{Limits, Names, Naming, Tracker, Unnamed};
