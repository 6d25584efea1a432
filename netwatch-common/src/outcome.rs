//! Why a packet was not counted in a flow.
//!
//! `seen = counted in a flow + each outcome`, in packets, segments and bytes. The value of a variant is the index of
//! its counter, its [`Outcome::name`] is the metric label, the word in the flow log and the line in the docs.

macro_rules! outcomes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $value:literal, $name:literal;)+) => {
        /// A reason for a packet to be in no flow.
        #[repr(u32)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub enum Outcome { $($(#[doc = $doc])+ $variant = $value,)+ }

        impl Outcome {
            /// All outcomes, in the order of their counters.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The label of the metric and the word in the flow log.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// One line for the docs and for `HELP`.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+)),+ }
            }
        }
    };
}

outcomes! {
    /// Shorter than the headers it announces.
    Truncated = 0, "truncated";
    /// An ARP packet that neither asks for nor tells the Ethernet address of an IPv4 address.
    Arp = 1, "arp";
    /// An Ethernet frame with a length and no type (IEEE 802.3 with LLC, such as spanning tree).
    Llc = 2, "llc";
    /// An Ethernet type that is neither IPv4, IPv6 nor ARP, or a third VLAN tag.
    OtherEthertype = 3, "other-ethertype";
    /// An IPv4 header with the wrong version or a header length below 20 bytes.
    BadIpv4Header = 4, "bad-ipv4-header";
    /// An IPv6 header with the wrong version.
    BadIpv6Header = 5, "bad-ipv6-header";
    /// An IPv6 packet with more extension headers than are followed.
    Ipv6ExtensionLimit = 6, "ipv6-extension-limit";
    /// A fragment whose first one, which carries the ports, was not seen.
    LaterFragment = 7, "later-fragment";
    /// A TCP header with a data offset below 20 bytes.
    BadTcpHeader = 8, "bad-tcp-header";
    /// The flow table was full and the entry to give way could not be written out, because the ring was full.
    FlowTableFull = 9, "flow-table-full";
    /// The flow entry was being written on the same CPU when the packet came (nested execution).
    FlowEntryBusy = 10, "flow-entry-busy";
    /// The interface has no slot in the interface table.
    UnknownInterface = 11, "unknown-interface";
    /// The agent tracked as many flows as it may (`--max-flows`).
    FlowLimit = 12, "flow-limit";
    /// Excluded by the user (`--exclude-net`, `--exclude-port`, `--exclude-protocol`): counted at the interface only.
    Filtered = 13, "filtered";
    /// Counted in a flow by an agent that was killed, and could not note that. Interfaces and containers have it.
    AgentRestart = 14, "agent-restart";
}

/// How many outcomes there are: the size of the counter table.
pub const OUTCOMES: u32 = 15;

/// Counters that each CPU has in the table: [`OUTCOMES`], rounded up so that CPUs share no cache line that is hot.
pub const OUTCOME_STRIDE: u32 = 16;

const _: () = {
    assert!(OUTCOMES <= OUTCOME_STRIDE);
    assert!(Outcome::ALL.len() == OUTCOMES as usize);
    let mut i = 0;
    while i < Outcome::ALL.len() {
        assert!(Outcome::ALL[i] as usize == i);
        i += 1;
    }
};
