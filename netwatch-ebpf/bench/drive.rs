//! What the bench tells the driver program: how to turn one packet into the next one of many flows.
//!
//! The kernel side and `netwatch-bench` both include this file.

/// State of the driver. Each run of it takes one step.
///
/// The varying parts are written as whole words of eight bytes, with the constant bytes beside them: a program that
/// reads any part of such a word is served from the store before it. Two narrow stores under one wide load would stall
/// the processor, which a packet from a network card never does.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Drive {
    /// The flow of the next packet, below `flows`.
    pub next: u32,
    /// Flows to go round.
    pub flows: u32,
    /// Rounds done.
    pub round: u32,
    /// What the TCP sequence number grows by in each round; 0 for other protocols.
    pub payload: u32,
    /// Which program to call, by its place in the table.
    pub program: u32,
    /// Where the word with the varying half of an address stands.
    pub address_at: u32,
    /// Bits that the varying half of that word is shifted by: 0 or 32.
    pub address_shift: u32,
    /// Where the word stands that begins with the ports; the source's varies.
    pub ports_at: u32,
    /// The word with the address, without its varying half.
    pub address: u64,
    /// The word with the ports, without the source's and the sequence number.
    pub ports: u64,
}

const _: () = assert!(size_of::<Drive>() == 48 && align_of::<Drive>() == 8);
