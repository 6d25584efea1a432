//! The catalogue: every metric of netwatch, once. Series, `HELP`, `TYPE`, docs/metrics.md and the tests are made from it.

/// The Prometheus type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Never decreases while the agent lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets, sum and count.
    Histogram,
}

impl Kind {
    /// The word in `TYPE` and in the docs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A chapter of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Who is who.
    Identity,
    /// Counters of interfaces.
    Interfaces,
    /// Counters of containers.
    Containers,
    /// Who talks to whom.
    Edges,
    /// Who asks for names.
    Dns,
    /// Numbers of flows.
    Flows,
    /// Where every packet went.
    Ledger,
    /// Packets that the kernel dropped.
    Drops,
    /// The agent about itself.
    Agent,
}

impl Group {
    /// All chapters, in the order of the docs.
    pub const ALL: [Self; 9] = [
        Self::Identity,
        Self::Interfaces,
        Self::Containers,
        Self::Edges,
        Self::Dns,
        Self::Flows,
        Self::Ledger,
        Self::Drops,
        Self::Agent,
    ];
}

/// What the catalogue says about a metric.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The chapter.
    pub group: Group,
    /// The type.
    pub kind: Kind,
    /// The name.
    pub name: &'static str,
    /// Label names, in the order of the values; with others, or without one, where there is a choice.
    pub labels: &'static [&'static str],
    /// One sentence for `HELP`.
    pub help: &'static str,
    /// What else a reader of the docs should know.
    pub docs: &'static str,
}

/// How many series a metric can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Budget {
    /// One.
    One,
    /// One for each word of a list that is netwatch's own, or the kernel's.
    Words,
    /// Some for each container, network or interface, as long as `--metrics.max-series` has room.
    Host,
    /// Some for each edge, as long as `--metrics.max-series` has room.
    Edges,
}

impl Budget {
    /// In the docs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::One => "1",
            Self::Words => "few",
            Self::Host => "[by name](#how-many-series)",
            Self::Edges => "[by edge](#how-many-series)",
        }
    }

    /// What a label costs; `None` for one that nobody has thought about.
    fn of_label(label: &str) -> Option<Self> {
        Some(match label {
            "client" => Self::Edges,
            "container" | "server" | "interface" | "id" | "image" | "project" | "service"
            | "network" | "address" | "place" => Self::Host,
            "version" | "revision" | "abi" | "reason" | "kind" | "direction" | "protocol"
            | "port" | "rcode" | "outcome" | "feature" | "lacking" | "program" | "map" | "ring"
            | "stage" | "code" => Self::Words,
            _ => return None,
        })
    }
}

impl Entry {
    /// The unit, which the name ends in: before `_total`, in a counter.
    pub fn unit(&self) -> Option<&'static str> {
        let name = self.name.trim_end_matches("_total");
        ["seconds", "bytes"].into_iter().find(|unit| name.ends_with(unit))
    }

    /// Whether `--metrics.labels` is about it: it counts something of a container.
    pub fn has_choice(&self) -> bool {
        self.group != Group::Identity && self.labels.contains(&"container")
    }

    /// That of its dearest label.
    pub fn budget(&self) -> Budget {
        let labels = self.labels.iter().filter_map(|label| Budget::of_label(label));
        labels.max().unwrap_or(Budget::One)
    }
}

macro_rules! catalogue {
    ($($variant:ident: $group:ident $kind:ident $name:literal [$($label:literal),*] $help:literal $docs:literal;)+) => {
        /// A metric of the catalogue.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Metric { $(#[doc = $help] $variant,)+ }

        impl Metric {
            /// All metrics, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// What the catalogue says.
            pub const fn entry(self) -> Entry {
                match self {
                    $(Self::$variant => Entry {
                        group: Group::$group,
                        kind: Kind::$kind,
                        name: $name,
                        labels: &[$($label),*],
                        help: $help,
                        docs: $docs,
                    },)+
                }
            }
        }
    };
}

catalogue! {
    BuildInfo: Identity Gauge "netwatch_build_info" ["version", "revision", "abi"]
        "Always 1; the labels say which netwatch runs."
        "`abi` is the version of the layout that agent and kernel programs share.";
    ContainerInfo: Identity Gauge "netwatch_container_info"
        ["container", "id", "image", "project", "service", "network", "address"]
        "Always 1; one series per known container, network and address."
        "Join with it for image or Compose labels: `* on (container) group_left (image) max by (container, image) \
         (netwatch_container_info)`. `network` is `host` for a container in the host's namespace and `container:NAME` \
         for one that shares another's; its traffic is counted there.";
    ContainerOutOfSight: Identity Gauge "netwatch_container_out_of_sight" ["container", "network", "reason"]
        "Always 1; traffic of a running container that cannot be observed, and why."
        "`reason` is `host-network` (its traffic is the host's), `no-network`, `macvlan`, `ipvlan` or `overlay` (no interface of \
         its own on this host); `network` is empty where it is about all of the container's traffic.";
    InterfaceInfo: Identity Gauge "netwatch_interface_info" ["interface", "kind", "network", "container"]
        "Always 1; one series per observed interface, with the container behind it."
        "`kind` is `veth`, `bridge` or `other`; `container` is empty where none is known.";

    InterfaceReceivePackets: Interfaces Counter "netwatch_interface_receive_packets_total" ["interface"]
        "Packets received by the interface as the kernel counts them, since attach."
        "Socket buffers: what `ip -s link` shows. A GSO packet counts once.";
    InterfaceReceiveSegments: Interfaces Counter "netwatch_interface_receive_segments_total" ["interface"]
        "Packets received by the interface as they are on the wire, since attach."
        "A GSO packet counts as its segments.";
    InterfaceReceiveBytes: Interfaces Counter "netwatch_interface_receive_bytes_total" ["interface"]
        "Bytes received by the interface as the kernel counts them, since attach."
        "What `ip -s link` shows: the headers of a GSO packet count once.";
    InterfaceReceiveWireBytes: Interfaces Counter "netwatch_interface_receive_wire_bytes_total" ["interface"]
        "Bytes received by the interface as they are on the wire, Ethernet headers included, since attach."
        "The headers of a GSO packet count once per segment.";
    InterfaceTransmitPackets: Interfaces Counter "netwatch_interface_transmit_packets_total" ["interface"]
        "Packets transmitted by the interface as the kernel counts them, since attach."
        "Socket buffers: what `ip -s link` shows. A GSO packet counts once.";
    InterfaceTransmitSegments: Interfaces Counter "netwatch_interface_transmit_segments_total" ["interface"]
        "Packets transmitted by the interface as they are on the wire, since attach."
        "A GSO packet counts as its segments.";
    InterfaceTransmitBytes: Interfaces Counter "netwatch_interface_transmit_bytes_total" ["interface"]
        "Bytes transmitted by the interface as the kernel counts them, since attach."
        "What `ip -s link` shows: the headers of a GSO packet count once.";
    InterfaceTransmitWireBytes: Interfaces Counter "netwatch_interface_transmit_wire_bytes_total" ["interface"]
        "Bytes transmitted by the interface as they are on the wire, Ethernet headers included, since attach."
        "The headers of a GSO packet count once per segment.";

    ContainerReceivePackets: Containers Counter "netwatch_container_receive_packets_total" ["container", "network"]
        "Packets on the wire that the container received."
        "";
    ContainerReceiveBytes: Containers Counter "netwatch_container_receive_bytes_total" ["container", "network"]
        "Bytes on the wire that the container received, Ethernet headers included."
        "";
    ContainerTransmitPackets: Containers Counter "netwatch_container_transmit_packets_total" ["container", "network"]
        "Packets on the wire that the container sent."
        "";
    ContainerTransmitBytes: Containers Counter "netwatch_container_transmit_bytes_total" ["container", "network"]
        "Bytes on the wire that the container sent, Ethernet headers included."
        "";
    ContainerPacketSize: Containers Histogram "netwatch_container_packet_size_bytes" ["container", "network", "direction"]
        "Sizes of the packets on the wire that the container received or sent, Ethernet headers included: an estimate from samples."
        "`direction` is `receive` or `transmit`. One packet in `--sample-rate` is looked at, and each counts for as many; a \
         container with few packets has few or none. The exact numbers of packets and bytes are in the metrics above. The \
         buckets end at the largest packet of the usual MTUs: 1280, 1450, 1500 (without and with a VLAN tag), 9000, 65535.";

    EdgeBytes: Edges Counter "netwatch_edge_bytes_total" ["client", "server", "protocol", "port", "direction"]
        "Bytes on the wire between a client and a server."
        "`direction` speaks from the client's side: `sent` or `received`.";
    EdgePackets: Edges Counter "netwatch_edge_packets_total" ["client", "server", "protocol", "port", "direction"]
        "Packets on the wire between a client and a server."
        "`direction` speaks from the client's side: `sent` or `received`.";
    EdgeConnections: Edges Counter "netwatch_edge_connections_total" ["client", "server", "protocol", "port"]
        "Flows that the client opened to the server."
        "";
    EdgeRetransmitted: Edges Counter "netwatch_edge_retransmitted_segments_total" ["client", "server", "protocol", "port"]
        "TCP segments between a client and a server that were sent again."
        "In both directions, at the hook that saw the most: see `retrans=` in [the flow log](flow-log.md).";
    EdgesFolded: Edges Counter "netwatch_edges_folded_total" []
        "Flows counted in the edge \"other\" because the series budget was used up."
        "While it is 0 every edge has its names. See `--metrics.max-series`.";
    NamesFolded: Agent Gauge "netwatch_names_folded" ["kind"]
        "Containers (in each network) and interfaces whose figures are in `other`, because the series budget was used up."
        "`kind` is `container` or `interface`. While it is 0 every one of them has series of its own. See `--metrics.max-series`.";

    DnsQueries: Dns Counter "netwatch_dns_queries_total" ["container"]
        "DNS queries, by who asks."
        "";
    DnsResponses: Dns Counter "netwatch_dns_responses_total" ["container", "rcode"]
        "DNS responses, by who asked and by response code."
        "`rcode` is the IANA mnemonic: `NOERROR`, `NXDOMAIN`, `SERVFAIL`, …; `other` for a code that has none.";
    DnsLookupSeconds: Dns Histogram "netwatch_dns_lookup_seconds" ["container"]
        "How long DNS look-ups took, from the first query to the answer, by who asked."
        "Those that had an answer.";
    DnsMessages: Dns Counter "netwatch_dns_messages_total" []
        "Packets with a DNS message that were read, at each hook by itself."
        "";
    DnsMessagesLost: Dns Counter "netwatch_dns_messages_lost_total" ["reason"]
        "Packets to or from port 53 that are in no other DNS metric, at each hook by itself."
        "`rate-limit`: more came than `--dns-rate` allows; `ring-full`: the agent was too slow; `unreadable`: not one whole \
         DNS message, such as a segment of a longer one over TCP. Flows count all of them.";

    FlowsActive: Flows Gauge "netwatch_flows_active" []
        "Flows open now."
        "";
    FlowsStarted: Flows Counter "netwatch_flows_started_total" []
        "Flows that started."
        "";
    FlowsEnded: Flows Counter "netwatch_flows_ended_total" ["reason"]
        "Flows that ended, by reason."
        "The reasons are the words of `end=` in the flow log, see flow-log.md.";

    HandshakeSeconds: Flows Histogram "netwatch_tcp_handshake_seconds" ["server"]
        "How long clients waited for the answer to their SYN, by who was asked."
        "Of TCP connections that have ended, at the hook nearest the client. `server` is a container, `host`, `external` or an \
         interface.";
    EchoSeconds: Flows Histogram "netwatch_echo_seconds" ["server"]
        "How long ICMP echoes took, by who was asked: the mean of each flow."
        "Of flows that have ended. `server` as above.";

    PacketsSeen: Ledger Counter "netwatch_packets_seen_total" []
        "Packets on the wire seen at the hooks, each hook by itself."
        "A packet that crosses two observed interfaces is seen twice, and is in the outcomes twice.";
    PacketOutcomes: Ledger Counter "netwatch_packet_outcomes_total" ["outcome"]
        "Packets on the wire by what became of them; adds up to netwatch_packets_seen_total."
        "`counted`: in a flow. Everything else is in no flow, for the reason below.";
    BytesSeen: Ledger Counter "netwatch_bytes_seen_total" []
        "Bytes on the wire seen at the hooks, each hook by itself."
        "";
    ByteOutcomes: Ledger Counter "netwatch_byte_outcomes_total" ["outcome"]
        "Bytes on the wire by what became of them; adds up to netwatch_bytes_seen_total."
        "";

    DroppedPackets: Drops Counter "netwatch_dropped_packets_total" ["container", "reason", "place"]
        "Packets that the kernel dropped, as the kernel counts them: a GSO packet counts once."
        "`container` is the one in whose network namespace, or at whose veth, it was; empty for the host's. `place` is \
         `inside` (that namespace), `veth`, or the name of another interface. `reason` is the kernel's own word \
         (`enum skb_drop_reason`), `not-told` before Linux 5.17; `other` is what found no room among 4,096 counters.";
    UndeliveredPackets: Drops Counter "netwatch_undelivered_packets_total" ["container", "place"]
        "Packets on the wire that were sent to a container and did not come out of its veth."
        "Of flows that have ended, and only where that is certain: see `undelivered=` in [the flow log](flow-log.md). `place` is \
         the bridge in front of the veth; empty where that is not known. Whether the kernel told why does not matter: \
         netwatch_dropped_packets_total may count the same packets.";
    DropDetailsLost: Drops Counter "netwatch_drop_details_lost_total" []
        "Dropped packets of which the flow was not told."
        "More than 1,000 a second on a CPU, a ring buffer that was full, or headers that could not be read. \
         netwatch_dropped_packets_total has them, `dropped=` of their flows in the flow log does not.";
    DropsMissed: Drops Counter "netwatch_drops_missed_total" []
        "Drops anywhere on the host that the kernel did not show, because it was showing another one on that CPU."
        "While it is 0, netwatch_dropped_packets_total is exact. Known from Linux 5.12 on.";

    EngineUp: Agent Gauge "netwatch_engine_up" []
        "Whether the container engine answers."
        "Absent where no engine is configured. While it is 0, names are the last known ones, or interface names.";
    FeatureAvailable: Agent Gauge "netwatch_feature_available" ["feature", "lacking"]
        "Whether something is there that netwatch can do without."
        "`lacking` says why it is not. `drops`: dropped packets are counted; `drop_reasons`: the kernel tells why; \
         `drops_in_containers`: the network namespaces of containers can be looked up; `conntrack`: flows are followed \
         through address translation; `pinning`: counting goes on without the agent.";
    ConntrackOverruns: Agent Counter "netwatch_conntrack_overruns_total" []
        "Times that the kernel dropped messages about connections, because netwatch was slow to hear them."
        "All connections are listed again then; a translated one that was short may be told as two flows.";
    LinkOverruns: Agent Counter "netwatch_link_overruns_total" []
        "Times that the kernel dropped messages about interfaces, because netwatch was slow to hear them."
        "All interfaces are listed again then. One that came and went in between was not seen.";
    AwaySeconds: Agent Counter "netwatch_agent_away_seconds_total" []
        "Time in which no agent read what was counted."
        "From one agent to the next that finds what it has left (`--pin-dir`, `--state-dir`): at most, for an agent that is \
         killed may have read up to a second later. Where the next one \
         cannot go on, as with another version's, what passed meanwhile is not counted: the flow log's `gap` line says `uncounted`.";
    AttachedInterfaces: Agent Gauge "netwatch_attached_interfaces" []
        "Interfaces that have the programs attached now."
        "";
    AttachSeconds: Agent Histogram "netwatch_attach_seconds" []
        "Time from the kernel's announcement of a link to both programs attached."
        "Only links that came while the agent ran.";
    AttachFailures: Agent Counter "netwatch_attach_failures_total" []
        "Attaches that failed."
        "Each try counts; it is tried again every second. While it grows there is an interface whose traffic is not seen; the log and \
         `/-/ready` name it.";
    DetachedByOthers: Agent Counter "netwatch_detached_by_others_total" []
        "Times that somebody else was found to have detached netwatch's programs from an interface."
        "They are attached again within seconds. What passed meanwhile is in the next metric.";
    AttachGapPackets: Agent Counter "netwatch_attach_gap_packets_total" []
        "Packets that devices carried while the programs were not attached: before, when they were new, or after somebody else detached them."
        "These are in no other metric of netwatch. By the device's own counters.";
    ProgramRuns: Agent Counter "netwatch_bpf_program_runs_total" ["program"]
        "Runs of an eBPF program, by the kernel's own count."
        "0 unless `sysctl kernel.bpf_stats_enabled=1`.";
    ProgramRunSeconds: Agent Counter "netwatch_bpf_program_run_seconds_total" ["program"]
        "Time spent in an eBPF program, by the kernel's own count."
        "0 unless `sysctl kernel.bpf_stats_enabled=1`.";
    MapEntries: Agent Gauge "netwatch_map_entries" ["map"]
        "Entries of an eBPF map in use."
        "`map` is `flows`, the kernel's flow table.";
    MapMaxEntries: Agent Gauge "netwatch_map_max_entries" ["map"]
        "Entries that an eBPF map has room for."
        "";
    MapMemory: Agent Gauge "netwatch_map_memory_bytes" []
        "Memory of all eBPF maps of the agent."
        "";
    RingUsed: Agent Gauge "netwatch_ring_used_bytes" ["ring"]
        "The most bytes that the agent found waiting in a ring buffer, in the last one to two minutes."
        "What finds no room in a full one is lost, and counted. `flows`: entries of the flow table that gave way, `flow-table-full` in \
         netwatch_packet_outcomes_total; `samples`: netwatch_samples_lost_total; `dns`: `ring-full` in netwatch_dns_messages_lost_total; \
         `drops`: netwatch_drop_details_lost_total.";
    RingSize: Agent Gauge "netwatch_ring_size_bytes" ["ring"]
        "Bytes that a ring buffer has room for."
        "";
    FlowEvictions: Agent Counter "netwatch_flow_evictions_total" []
        "Entries of the kernel's flow table that gave way to others."
        "No loss: an entry that gives way is handed to the agent. Many per second mean that `--max-flows` is small.";
    Samples: Agent Counter "netwatch_samples_total" []
        "Packet samples received from the kernel."
        "";
    SamplesLost: Agent Counter "netwatch_samples_lost_total" []
        "Packet samples lost because the ring buffer was full."
        "Samples are no part of the counters: these stay exact.";
    FlowLogLines: Agent Counter "netwatch_flow_log_lines_total" []
        "Lines written to the flow log."
        "";
    FlowLogLinesLost: Agent Counter "netwatch_flow_log_lines_lost_total" []
        "Lines of the flow log that could not be written, or were dropped because the writer was behind."
        "Each event is either here or in `netwatch_flow_log_lines_total`; `gap` lines, which tell of those that are missing, are in neither.";
    FlowLogRotations: Agent Counter "netwatch_flow_log_rotations_total" []
        "Flow log files that gave way to new ones."
        "";
    FlowLogUp: Agent Gauge "netwatch_flow_log_up" []
        "1 if the flow log can be written, 0 if not: the disk is full, the directory gone."
        "Absent without `--flow-log`.";
    JournalLinesLost: Agent Counter "netwatch_log_lines_lost_total" []
        "Lines of the agent's own log that were not written: nobody empties its standard error."
        "The agent waits for nobody who reads it.";
    FlowReaders: Agent Gauge "netwatch_flow_readers" []
        "Readers of flow events that are connected to the socket."
        "`netwatch flows` is one. At most 64 at a time.";
    FlowReadersRefused: Agent Counter "netwatch_flow_readers_refused_total" []
        "Connections to the socket that were refused."
        "Too many readers, one who may not read, or no valid request within five seconds.";
    FlowReaderLines: Agent Counter "netwatch_flow_reader_lines_total" []
        "Lines that readers of flow events have been sent."
        "";
    FlowReaderLinesLost: Agent Counter "netwatch_flow_reader_lines_lost_total" []
        "Flow events that were gone before a slow reader came to them."
        "Each reader is told of its own. Counted before its filter: which of them it had wanted is not known.";
    WebRequests: Agent Counter "netwatch_web_requests_total" ["code"]
        "HTTP requests answered, by status code."
        "200, 401, 404, 405, 413, 429, 500, 503, or `other`. A scrape does not count itself.";
    WebConnectionsDisplaced: Agent Counter "netwatch_web_connections_displaced_total" []
        "HTTP connections that were closed to make room for another one."
        "64 may be open at each address. The one that has asked for nothing for the longest time goes first.";
    WebAnswersCut: Agent Counter "netwatch_web_answers_cut_total" []
        "HTTP answers that were broken off because the client did not take them within 30 seconds."
        "A slow link, or a client that does not read.";
    WebHandshakesFailed: Agent Counter "netwatch_web_tls_handshakes_failed_total" []
        "Connections that ended before TLS was agreed upon."
        "Plain HTTP, no certificate or one that is not accepted, versions or ciphers that do not meet.";
    WebConfigUp: Agent Gauge "netwatch_web_config_up" []
        "1 if the web configuration is in force as it is on disk, 0 if it is broken and the one before it is in force."
        "Absent without `--web.config.file`. It is looked at with each request.";
    WebConfigFailures: Agent Counter "netwatch_web_config_failures_total" []
        "Changes of the web configuration, or of its certificates, that could not be put in force."
        "Absent without `--web.config.file`.";
    UpToDateSeconds: Agent Gauge "netwatch_up_to_date_seconds" []
        "Age of the oldest figure of this scrape."
        "All are read when a scrape comes: this is how long that took. DNS messages wait 300 ms more.";
    Scrapes: Agent Counter "netwatch_scrapes_total" []
        "Scrapes whose figures were collected, this one included."
        "";
    ScrapeSeconds: Agent Counter "netwatch_scrape_seconds_total" []
        "Time that collecting the figures of scrapes took."
        "";
    StageRuns: Agent Counter "netwatch_stage_runs_total" ["stage"]
        "How often the agent's core did one of its works."
        "`links`: attaching and detaching; `engine`: names; `rings`: entries that gave way and connections, every 10 ms; `reading`: \
         flows, samples, DNS messages and drops; `telling`: lines for flow log and readers; `scrapes`; `readers`: who asks for flows that go on.";
    StageSeconds: Agent Counter "netwatch_stage_seconds_total" ["stage"]
        "Time that the agent's core has spent in one of its works."
        "It does one at a time: if the sum grows by nearly a second each second, it is overloaded.";
    ProcessCpuSeconds: Agent Counter "process_cpu_seconds_total" []
        "Time that the agent has spent on CPUs, in user space and in the kernel."
        "What its programs in the kernel take is in netwatch_bpf_program_run_seconds_total.";
    ProcessStartTime: Agent Gauge "process_start_time_seconds" []
        "When the agent was started, in seconds since the Unix epoch."
        "";
    ProcessVirtualMemory: Agent Gauge "process_virtual_memory_bytes" []
        "Address space of the agent."
        "";
    ProcessResidentMemory: Agent Gauge "process_resident_memory_bytes" []
        "Memory of the agent."
        "What the kernel keeps for it is in netwatch_map_memory_bytes.";
    ProcessOpenFds: Agent Gauge "process_open_fds" []
        "Open file descriptors of the agent."
        "";
    ProcessMaxFds: Agent Gauge "process_max_fds" []
        "As many file descriptors as the agent may have."
        "";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_label_has_a_price() {
        for entry in Metric::ALL.iter().map(|metric| metric.entry()) {
            for label in entry.labels {
                assert!(Budget::of_label(label).is_some(), "{}: {label}", entry.name);
            }
        }
        assert_eq!(Metric::FlowsActive.entry().budget(), Budget::One);
        assert_eq!(Metric::FlowsEnded.entry().budget(), Budget::Words);
        assert_eq!(Metric::HandshakeSeconds.entry().budget(), Budget::Host);
        assert_eq!(Metric::EdgeBytes.entry().budget(), Budget::Edges);
    }
}
