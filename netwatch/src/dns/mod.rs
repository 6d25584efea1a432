//! DNS as the containers speak it: which of them asks, and what it is answered.
//!
//! Pure: messages, the clock and names are passed in. Counts each message once, for whoever asks, however many hooks it
//! crosses, and joins queries with their answers. Messages come from containers and are hostile: whatever they hold, reading them is bounded and cannot fail
//! but by being counted as unreadable. The only room that knows the DNS library.

mod counter;
mod lookups;
mod message;

pub use counter::{Counter, Heard, Vantage};
pub use lookups::{Asked, Lookups};
