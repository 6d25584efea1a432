//! What an agent has to know of maps that it finds, to go on with them.

use crate::flow::WORDS;

/// Of the maps that belong together.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// [`crate::ABI_VERSION`]; 0 until everything else is set up.
    pub abi: u32,
    /// CPUs that they have sections for.
    pub cpus: u32,
    /// Entries of the flow table.
    pub entries: u32,
    /// Places of the index on each CPU are two to this power.
    pub index_bits: u32,
    /// Entries that have room in the reserve of each CPU.
    pub reserve: u32,
    /// Explicit padding.
    pub pad: u32,
    /// By which flows are placed.
    pub seeds: [u64; WORDS],
    /// Drawn when they were made: what an agent has kept elsewhere tells of which maps it is.
    pub id: u64,
    /// The network namespace, by the kernel's cookie, which is never given twice; 0 where it has none.
    pub namespace: u64,
}

const _: () = assert!(size_of::<Header>() == 40 + 8 * WORDS);
