//! The nouns that every room shares. Pure values: no I/O, no clock, no kernel types.

mod container;
mod counters;
mod endpoint;
mod event;
mod flow;
mod interface;
mod protocol;
mod sample;
mod snapshot;
mod time;

pub use container::{Attachment, Container, Source};
pub use counters::{InterfaceCounters, InterfaceTally, Tally};
pub use endpoint::{Endpoint, Name};
pub use event::{Direction, EndReason, FlowEvent, FlowPhase, FlowRecord, Loss};
pub use flow::{
    Echoes, EntrySide, FlowKey, Handshake, IcmpError, Observation, Repairs, Seen, SideReading,
    Socket, Traits,
};
pub use interface::{Interface, InterfaceKind, Mac};
pub use protocol::Protocol;
pub use sample::Sample;
pub use snapshot::{
    AgentStatus, AttachStatus, ContainerTraffic, Edge, EdgeTraffic, FlowTotals, InterfaceSnapshot,
    ProgramRuns, Snapshot,
};
pub use time::{Clock, Instant, WallTime};
