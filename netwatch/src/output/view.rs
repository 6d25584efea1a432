//! The JSON record: what docs/flow-log.md documents. A field is renamed or removed only with a new major version.

mod filled;

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    fold::Several,
    passed_on::{BehindView, MasqueradeView, ViaView},
};
use crate::model::EndReason;

pub(super) use filled::{end, flow, hook, loss, nanos, rfc3339, sum};

const LOST: &str = "lost";
const ECN: [&str; 4] = ["not-ect", "ect1", "ect0", "ce"];
const KINDS: [&str; 6] = ["container", "host", "multicast", "broadcast", "interface", "external"];

/// A flow that has started, goes on or has ended.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Flow")]
pub(super) struct FlowView<'a> {
    /// when it happened: RFC 3339, microseconds, local offset
    #[schemars(extend("format" = "date-time"))]
    time: String,
    /// `start`: the first packet was seen; `update`: it still goes on; `end`: it is over
    #[schemars(extend("enum" = ["start", "update", "end"]))]
    event: &'static str,
    /// of `end`: why
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = EndReason::ALL.map(EndReason::name)))]
    reason: Option<&'static str>,
    /// number of the flow, unique while the agent lives; left out of a line that stands for several
    #[serde(skip_serializing_if = "Option::is_none")]
    flow_id: Option<u64>,
    /// `tcp`, `udp`, `icmp`, `icmpv6`, …; `proto-N` for one without a name
    protocol: String,
    /// who began it
    client: EndView<'a>,
    /// to whom
    server: EndView<'a>,
    /// whom a published port of the host leads to; left out where it is none
    #[serde(skip_serializing_if = "Option::is_none")]
    behind: Option<BehindView<'a>>,
    /// where the client called, if not the server itself: a published port of the host
    #[serde(skip_serializing_if = "Option::is_none")]
    via: Option<ViaView>,
    /// as whom the client appears to the server, if not as itself
    #[serde(skip_serializing_if = "Option::is_none")]
    masquerade: Option<MasqueradeView>,
    /// Docker network; `null` where unknown
    network: Option<&'a str>,
    /// from the client to the server
    sent: DirectionView,
    /// from the server to the client
    received: DirectionView,
    /// time of the first packet
    #[schemars(extend("format" = "date-time"))]
    first: String,
    /// time of the last packet
    #[schemars(extend("format" = "date-time"))]
    last: String,
    /// nanoseconds from the first to the last packet
    duration_ns: u64,
    /// only for TCP
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp_flags: Option<FlagsView>,
    /// how the TCP connection was set up; left out where SYN and SYN-ACK were not both seen
    #[serde(skip_serializing_if = "Option::is_none")]
    handshake: Option<HandshakeView>,
    /// whether it is an echo (ping); only for ICMP and ICMPv6
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_echo: Option<bool>,
    /// echoes that were timed; left out where there are none
    #[serde(skip_serializing_if = "Option::is_none")]
    echo: Option<EchoView>,
    /// the last ICMP error message that quoted a packet of it; left out where there was none
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_error: Option<ErrorView>,
    /// source address of the Ethernet frame that opened the flow, where it was first seen
    #[serde(skip_serializing_if = "Option::is_none")]
    source_mac: Option<String>,
    /// every hook that it crossed
    seen: Vec<SeenView<'a>>,
    /// its packets that the kernel dropped; left out where none is known
    #[serde(skip_serializing_if = "Vec::is_empty")]
    drops: Vec<DropView<'a>>,
    /// of `end`: what did not arrive; left out where that is nothing or cannot be told
    #[serde(skip_serializing_if = "Option::is_none")]
    undelivered: Option<UndeliveredView<'a>>,
    #[serde(flatten)]
    several: Option<Several>,
}

/// Packets on the wire that were sent and did not arrive.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Undelivered")]
struct UndeliveredView<'a> {
    /// packets of the client
    from_client: u64,
    /// packets of the server
    from_server: u64,
    /// the bridge in front of which they went missing; `null` where that cannot be told
    place: Option<&'a str>,
}

/// Packets that were seen but are in no flow, since the last such line.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Lost")]
pub(super) struct LossView {
    /// when it was noticed, as of a flow
    #[schemars(extend("format" = "date-time"))]
    time: String,
    /// `lost`
    #[schemars(extend("const" = LOST))]
    event: &'static str,
    /// the outcome in the ledger: `flow-table-full`, `flow-entry-busy`, `unknown-interface`, `flow-limit`
    reason: &'static str,
    #[serde(flatten)]
    tally: TallyView,
}

/// One end of a flow, a look-up or a packet.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "End")]
pub(super) struct EndView<'a> {
    /// as in the labels of the metrics: of the container, of the interface, or the kind
    name: &'a str,
    /// what it is; `interface`: behind one whose container is not known
    #[schemars(extend("enum" = KINDS))]
    kind: &'static str,
    /// the name by which the client looked up the address of an external server
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<&'a str>,
    /// the engine's identifier; only for a container
    #[serde(skip_serializing_if = "Option::is_none")]
    container_id: Option<&'a str>,
    /// image of the container; left out where unknown
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'a str>,
    /// Compose project; left out where there is none
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a str>,
    /// Compose service; left out where there is none
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    /// names of the containers that share its network namespace: the traffic may be theirs; left out where there are none
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    shared_by: &'a [String],
    /// IP address
    address: IpAddr,
    /// port; left out for protocols that have none
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// the container's Ethernet address, as the engine gave it out with the address
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
}

/// How many.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Tally")]
struct TallyView {
    /// packets on the wire
    packets: u64,
    /// their bytes on the wire, Ethernet header included
    bytes: u64,
    /// the same packets as the kernel counts them: one per socket buffer
    skbs: u64,
}

/// What one end of a flow sent.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Direction")]
struct DirectionView {
    #[serde(flatten)]
    tally: TallyView,
    #[serde(flatten)]
    repairs: Option<RepairsView>,
    #[serde(flatten)]
    traits: Option<TraitsView>,
}

/// Only of TCP.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Repairs")]
struct RepairsView {
    /// TCP segments whose bytes had been seen before; only for TCP. It can be too low (a flow that moves between CPUs), never too high
    retransmitted: u64,
    /// TCP segments that came after later ones; only for TCP
    out_of_order: u64,
    /// whether a window of zero was announced; only for TCP
    zero_window: bool,
}

/// Only where there was a packet.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Traits")]
struct TraitsView {
    /// bytes of the largest packet on the wire, Ethernet header included; 65,535 stands for that and more; this and what follows is left out where there was no packet
    largest: u16,
    /// smallest time to live (hop limit) at the hooks that saw the packets
    ttl_min: u8,
    /// largest time to live
    ttl_max: u8,
    /// differentiated services code point of the last packet (RFC 2474)
    dscp: u8,
    /// ECN codepoints that were seen (RFC 3168)
    ecn: Vec<&'static str>,
}

/// How a TCP connection was set up.
#[derive(Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "a field's unit is part of its name in the record")]
#[schemars(rename = "Handshake")]
struct HandshakeView {
    /// nanoseconds from the first SYN to the SYN-ACK at the hook nearest the client
    answered_ns: u64,
    /// what lies between the two hooks; 0 where there is but one
    network_ns: u64,
    /// the server's share: from SYN to SYN-ACK at the hook nearest the server
    server_ns: u64,
    /// nanoseconds from the SYN-ACK to the client's ACK, at the hook nearest the client; left out where that was not seen
    #[serde(skip_serializing_if = "Option::is_none")]
    client_ns: Option<u64>,
}

/// Echoes that were timed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Echo")]
struct EchoView {
    /// replies that were timed, at each hook by itself
    timed: u64,
    /// nanoseconds from request to reply, on average
    mean_ns: u64,
}

/// An ICMP or ICMPv6 error message.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "IcmpError")]
struct ErrorView {
    /// its type
    #[serde(rename = "type")]
    kind: u8,
    /// its code
    code: u8,
}

/// All TCP flags, in tcpdump's letters: `F` FIN, `S` SYN, `R` RST, `P` PSH, `.` ACK, `U` URG, `E` ECE, `W` CWR.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Flags")]
struct FlagsView {
    /// all that the client sent
    client: String,
    /// all that the server sent
    server: String,
}

/// A hook that a flow crossed, and what it saw from one of the ends.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Seen")]
struct SeenView<'a> {
    /// the interface, by the kernel's index
    ifindex: u32,
    /// its name; left out where that is not known
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<&'a str>,
    /// `ingress`: the interface received the packets; `egress`: it transmitted them
    #[schemars(extend("enum" = ["ingress", "egress"]))]
    hook: &'static str,
    /// who sent the packets
    #[schemars(extend("enum" = ["client", "server"]))]
    from: &'static str,
    #[serde(flatten)]
    tally: TallyView,
}

/// Packets of a flow that the kernel dropped.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Drop")]
struct DropView<'a> {
    /// why, in the kernel's own word
    reason: &'a str,
    /// where, as in text
    place: String,
    /// the interface, by its index in its namespace; 0 where they were at none
    ifindex: u32,
    /// who sent the packets
    #[schemars(extend("enum" = ["client", "server"]))]
    from: &'static str,
    /// how many, as the kernel counts them
    packets: u64,
}
