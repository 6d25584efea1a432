//! From observations to conversations: merges CPUs, hooks and directions, decides who began, says when a flow starts,
//! goes on and ends, and sums up who talks to whom.
//!
//! Pure: the clock and the names are passed in.

mod conversation;
mod edges;
mod fold;
mod hooks;
mod initiator;
mod kept;
mod lifecycle;
mod names;
mod oddities;
mod opening;
mod report;
mod sum;
mod table;
mod tracker;
mod translations;

pub use edges::Edges;
pub use fold::{Folded, Folder};
pub use kept::Kept;
pub use lifecycle::Limits;
pub use names::{Names, Naming, Unnamed};
pub use report::Report;
pub use tracker::Tracker;
