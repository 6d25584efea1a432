//! The nouns that every room shares. Pure values: no I/O, no clock, no kernel types.

mod container;
mod counters;
mod drop;
mod endpoint;
mod event;
mod exclusion;
mod feature;
mod flow;
mod fold;
mod histogram;
mod interface;
mod largest;
mod life;
mod lookup;
mod message;
mod pattern;
mod protocol;
mod published;
mod sample;
mod shares;
mod snapshot;
mod time;
mod times;
mod translation;

pub use container::{Attachment, Container, Source};
pub use counters::{InterfaceCounters, InterfaceTally, Tally};
pub use drop::{DropCount, DropPlace, DropSite, DropTotal, DroppedPacket, FlowDrop, Undelivered};
pub use endpoint::{Endpoint, Name};
pub use event::{Direction, EndReason, FlowEvent, FlowPhase, FlowRecord, Gap, Interfaces, Loss};
pub use exclusion::Exclusion;
pub use feature::Feature;
pub use flow::{
    Echoes, EntrySide, FlowKey, Handshake, IcmpError, Observation, Repairs, Seen, SideReading,
    Socket, Traits,
};
pub use fold::{Answered, Fold};
pub use histogram::SizeHistogram;
pub use interface::{Interface, InterfaceKind, Mac};
pub use largest::{Change as LargestChange, Largest};
pub use life::{Appearance, Change, LifeEvent, OutOfSight, Unseen};
pub use lookup::{Answer, Exchange, Hint, Lookup, Question};
pub use message::Message;
pub use pattern::glob;
pub use protocol::Protocol;
pub use published::{Behind, PublishedPort};
pub use sample::{Ends, Sample, SampleEvent, SampledPacket};
pub use shares::Shares;
pub use snapshot::{
    AgentStatus, AttachStatus, ContainerSizes, ContainerTraffic, DnsCounts, Edge, EdgeTraffic,
    FlowTotals, InterfaceSnapshot, ProcessStatus, ProgramRuns, ReaderStatus, RingStatus,
    ScrapeStatus, Snapshot, StageStatus, Times, UndeliveredTotal, WebStatus,
};
pub use time::{Clock, Instant, WallTime};
pub use times::{Exemplar, TimeHistogram};
pub use translation::{Leg, Translation, Translator};
