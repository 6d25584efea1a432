//! The table of options: one line of truth for flag, variable, file key, default, help and documentation.

/// One option of `netwatch run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Interface,
    Exclude,
    AttachMode,
    ExcludeNet,
    ExcludePort,
    ExcludeProtocol,
    FlowLog,
    FlowFormat,
    FlowLogMaxSize,
    FlowLogMaxAge,
    FlowLogMaxTotal,
    FlowLogSamples,
    FlowLogFold,
    SampleRate,
    SampleLength,
    DnsRate,
    FlowIdleTimeout,
    FlowActiveTimeout,
    MaxFlows,
    DockerHost,
    Socket,
    SocketGroup,
    ListenAddress,
    SystemdSocket,
    WebConfig,
    TelemetryPath,
    MaxRequests,
    MaxSeries,
    Sandbox,
    LogLevel,
    LogFormat,
}

/// What is to be said about an option.
pub(super) struct Spec {
    /// The option.
    pub(super) key: Key,
    /// Flag without the dashes, and key in the file, where a dot makes a table.
    pub(super) name: &'static str,
    /// What stands for the value in the help.
    pub(super) value: &'static str,
    /// The heading in the help.
    pub(super) heading: &'static str,
    /// The default; nothing for an empty list or for "off".
    pub(super) default: &'static [&'static str],
    /// What the documentation says where there is no default.
    pub(super) without: &'static str,
    /// Whether it can be repeated.
    pub(super) list: bool,
    /// One line of help.
    pub(super) help: &'static str,
    /// More of it, for `--help` and the documentation.
    pub(super) more: &'static str,
}

impl Key {
    /// The flag without the dashes.
    pub(super) fn name(self) -> &'static str {
        self.spec().map_or("", |spec| spec.name)
    }

    /// The line of the table. There is one for each key, as a test makes sure.
    pub(super) fn spec(self) -> Option<&'static Spec> {
        OPTIONS.iter().find(|spec| spec.key == self)
    }
}

impl Spec {
    /// Whether the flag alone says yes.
    pub(super) fn is_switch(&self) -> bool {
        self.value == SWITCH
    }

    /// The environment variable.
    pub(super) fn variable(&self) -> String {
        let name: String =
            self.name.chars().map(|c| if c == '.' || c == '-' { '_' } else { c }).collect();
        format!("NETWATCH_{}", name.to_ascii_uppercase())
    }

    /// The default for people.
    pub(super) fn default_text(&self) -> String {
        if self.default.is_empty() { self.without.to_owned() } else { self.default.join(",") }
    }
}

/// Where metrics are served unless told otherwise. The ports 9100 to 9999 of the exporters' allocation list are all
/// taken (prometheus/prometheus wiki, "Default port allocations"), so that any of them could meet another exporter on
/// the same host; this one is outside of that list and below the ephemeral ports.
pub(super) const DEFAULT_LISTEN: &str = "127.0.0.1:19733";

/// Where an agent and its clients look for each other unless told otherwise.
pub(super) const DEFAULT_SOCKET: &str = "/run/netwatch/netwatch.sock";

const INTERFACES: &str = "Interfaces";
const FILTER: &str = "Filter";
const FLOW_LOG: &str = "Flow log";
const PACKETS: &str = "Packets";
const FLOWS: &str = "Flows";
const DOCKER: &str = "Docker";
const SOCKET: &str = "Socket";
const WEB: &str = "Web";
const RIGHTS: &str = "Rights";
const LOGGING: &str = "Logging";

/// A list is written one value a flag, comma separated in a variable, as an array in the file.
const LIST: bool = true;
const ONE: bool = false;

/// The values of an option whose flag needs none.
const SWITCH: &str = "true|false";

/// Every option, in the order of the help.
pub(super) const OPTIONS: &[Spec] = &[
    Spec {
        key: Key::Interface,
        name: "interface",
        value: "GLOB",
        heading: INTERFACES,
        default: &[],
        without: "all veths and the bridges of container engines",
        list: LIST,
        help: "Observe only interfaces with such a name (repeatable)",
        more: "Of whatever kind. Interfaces that come later are observed when they come.",
    },
    Spec {
        key: Key::Exclude,
        name: "exclude",
        value: "GLOB",
        heading: INTERFACES,
        default: &[],
        without: "none",
        list: LIST,
        help: "Never observe interfaces with such a name (repeatable)",
        more: "Wins over --interface.",
    },
    Spec {
        key: Key::AttachMode,
        name: "attach-mode",
        value: "auto|tcx|clsact",
        heading: INTERFACES,
        default: &["auto"],
        without: "",
        list: ONE,
        help: "How the programs are attached",
        more: "auto takes TCX links where the kernel has them (6.6 and later), else the clsact qdisc.",
    },
    Spec {
        key: Key::ExcludeNet,
        name: "exclude-net",
        value: "CIDR",
        heading: FILTER,
        default: &[],
        without: "none",
        list: LIST,
        help: "Count packets from or to this network at their interface only (repeatable)",
        more: "A network such as 10.0.0.0/8 or 2001:db8::/32, or an address. Excluded packets are in no flow, sample or \
               DNS count; their outcome is filtered.",
    },
    Spec {
        key: Key::ExcludePort,
        name: "exclude-port",
        value: "[PROTO/]PORT",
        heading: FILTER,
        default: &[],
        without: "none",
        list: LIST,
        help: "The same for packets from or to this port (repeatable)",
        more: "443 means that port of tcp, udp, sctp and udplite; udp/53 that of one of them.",
    },
    Spec {
        key: Key::ExcludeProtocol,
        name: "exclude-protocol",
        value: "NAME|NUMBER",
        heading: FILTER,
        default: &[],
        without: "none",
        list: LIST,
        help: "The same for packets of this protocol over IP (repeatable)",
        more: "A name as the flow log writes it (tcp, udp, icmp, icmpv6, igmp, gre, esp, …), or a number from 0 to 255.",
    },
    Spec {
        key: Key::FlowLog,
        name: "flow-log",
        value: "FILE|-",
        heading: FLOW_LOG,
        default: &[],
        without: "off",
        list: ONE,
        help: "Write one line per flow event to a file, or to standard output (-)",
        more: "A file is appended to. Its directory has to exist. SIGHUP has it opened again.",
    },
    Spec {
        key: Key::FlowFormat,
        name: "flow-format",
        value: "text|json",
        heading: FLOW_LOG,
        default: &["text"],
        without: "",
        list: ONE,
        help: "Lines for people, or one JSON object a line",
        more: "",
    },
    Spec {
        key: Key::FlowLogMaxSize,
        name: "flow-log-max-size",
        value: "SIZE|none",
        heading: FLOW_LOG,
        default: &["100MB"],
        without: "",
        list: ONE,
        help: "Begin a new flow log file before it is larger than this, and compress the old one",
        more: "It is called FILE.20261125T160000.000000Z.gz then. none: not by size. \
               A whole number with a unit: kB, MB, GB, or KiB, MiB, GiB. From 64kB to 1000GB.",
    },
    Spec {
        key: Key::FlowLogMaxAge,
        name: "flow-log-max-age",
        value: "TIME|none",
        heading: FLOW_LOG,
        default: &["none"],
        without: "",
        list: ONE,
        help: "The same when the file is this old and a line comes",
        more: "none: not by age. A whole number with a unit: 10m, 24h. From 1m to 168h.",
    },
    Spec {
        key: Key::FlowLogMaxTotal,
        name: "flow-log-max-total",
        value: "SIZE|none",
        heading: FLOW_LOG,
        default: &["1GB"],
        without: "",
        list: ONE,
        help: "Remove the oldest compressed files so that all together are never larger than this",
        more: "The file that is written to counts with its --flow-log-max-size, each other with whole blocks of 4 KiB. While one is being compressed, what is made of it \
               comes on top. \
               At least twice --flow-log-max-size, which must not be none beside a --flow-log-max-age then. none: keep them all.",
    },
    Spec {
        key: Key::FlowLogSamples,
        name: "flow-log-samples",
        value: SWITCH,
        heading: FLOW_LOG,
        default: &["false"],
        without: "",
        list: ONE,
        help: "Write a line for each sampled packet too",
        more: "See --sample-rate.",
    },
    Spec {
        key: Key::FlowLogFold,
        name: "flow-log-fold",
        value: "TIME",
        heading: FLOW_LOG,
        default: &[],
        without: "off",
        list: ONE,
        help: "Tell flows in one line that begin and end within this time between the same two",
        more: "Of the same client, server, protocol and server port, with their number and how they ended. A line then comes \
               up to twice this time later. What goes on for longer has lines of its own. 5s is a good value.",
    },
    Spec {
        key: Key::SampleRate,
        name: "sample-rate",
        value: "N",
        heading: PACKETS,
        default: &["1000"],
        without: "",
        list: ONE,
        help: "Sample one packet in N, at random; 0 = off",
        more: "Up to 1073741824. Packet sizes are estimated from samples; counters and flows are exact whatever the rate.",
    },
    Spec {
        key: Key::SampleLength,
        name: "sample-length",
        value: "BYTES",
        heading: PACKETS,
        default: &["128"],
        without: "",
        list: ONE,
        help: "Keep this many bytes of a sampled packet, from the Ethernet header on",
        more: "From 0 to 512.",
    },
    Spec {
        key: Key::DnsRate,
        name: "dns-rate",
        value: "N",
        heading: PACKETS,
        default: &["1000"],
        without: "",
        list: ONE,
        help: "Read at most N DNS messages a second, per interface and CPU; 0 = none",
        more: "Up to 1000000. What is beyond is counted in netwatch_dns_messages_lost_total.",
    },
    Spec {
        key: Key::FlowIdleTimeout,
        name: "flow-idle-timeout",
        value: "TIME",
        heading: FLOWS,
        default: &["15s"],
        without: "",
        list: ONE,
        help: "End a flow after this long without a packet",
        more: "An established TCP connection may be silent 20 times as long; an ICMP echo ends after 5s at the latest. \
               A whole number with a unit: 500ms, 15s, 2m, 1h. From 100ms to 24h.",
    },
    Spec {
        key: Key::FlowActiveTimeout,
        name: "flow-active-timeout",
        value: "TIME",
        heading: FLOWS,
        default: &["60s"],
        without: "",
        list: ONE,
        help: "Report a flow that goes on this often",
        more: "A whole number with a unit: 500ms, 15s, 2m, 1h. From 100ms to 24h.",
    },
    Spec {
        key: Key::MaxFlows,
        name: "max-flows",
        value: "N",
        heading: FLOWS,
        default: &["65536"],
        without: "",
        list: ONE,
        help: "Track at most this many flows at the same time",
        more: "From 1024 to 4194304, rounded up to a power of two.",
    },
    Spec {
        key: Key::DockerHost,
        name: "docker-host",
        value: "URI",
        heading: DOCKER,
        default: &[],
        without: "DOCKER_HOST, else the engine's default socket",
        list: ONE,
        help: "Where to ask for container names",
        more: "unix:///path or tcp://host:port. Without an engine, interfaces and addresses are shown instead of names.",
    },
    Spec {
        key: Key::Socket,
        name: "socket",
        value: "PATH|none",
        heading: SOCKET,
        default: &[DEFAULT_SOCKET],
        without: "",
        list: ONE,
        help: "Answer netwatch flows at this Unix socket",
        more: "Its directory is made if it is not there. none: no socket, and no memory of past events.",
    },
    Spec {
        key: Key::SocketGroup,
        name: "socket-group",
        value: "NAME|GID",
        heading: SOCKET,
        default: &[],
        without: "the agent's own",
        list: ONE,
        help: "Let members of this group use the socket, besides root and the agent's user",
        more: "A name of /etc/group, or a number.",
    },
    Spec {
        key: Key::ListenAddress,
        name: "web.listen-address",
        value: "ADDR",
        heading: WEB,
        default: &[DEFAULT_LISTEN],
        without: "",
        list: LIST,
        help: "Serve metrics and pages at this address (repeatable)",
        more: "host:port, [v6]:port, :port for all addresses, or unix:PATH for a Unix socket, which root, the agent's user and \
               --socket-group may use. localhost is 127.0.0.1; other names are not resolved.",
    },
    Spec {
        key: Key::SystemdSocket,
        name: "web.systemd-socket",
        value: SWITCH,
        heading: WEB,
        default: &["false"],
        without: "",
        list: ONE,
        help: "Serve them at the sockets that systemd hands over, and at no address",
        more: "Of a .socket unit: sockets of TCP or Unix.",
    },
    Spec {
        key: Key::WebConfig,
        name: "web.config.file",
        value: "FILE",
        heading: WEB,
        default: &[],
        without: "plain HTTP for everybody",
        list: ONE,
        help: "Read TLS, users and headers from a file in the format of Prometheus's exporters",
        more: "See web.md. A change of it, or of a certificate, is in force with the next request.",
    },
    Spec {
        key: Key::TelemetryPath,
        name: "web.telemetry-path",
        value: "PATH",
        heading: WEB,
        default: &["/metrics"],
        without: "",
        list: ONE,
        help: "Path of the metrics",
        more: "",
    },
    Spec {
        key: Key::MaxRequests,
        name: "web.max-requests",
        value: "N",
        heading: WEB,
        default: &["40"],
        without: "",
        list: ONE,
        help: "Answer at most N requests for metrics at the same time; 0 = as many as come",
        more: "At each address. The others are answered with 503.",
    },
    Spec {
        key: Key::MaxSeries,
        name: "metrics.max-series",
        value: "N",
        heading: WEB,
        default: &["10000"],
        without: "",
        list: ONE,
        help: "Export at most this many series about who talks to whom; the rest is folded into 'other'",
        more: "From 10 to 1000000.",
    },
    Spec {
        key: Key::Sandbox,
        name: "sandbox",
        value: "on|strict|off",
        heading: RIGHTS,
        default: &["on"],
        without: "",
        list: ONE,
        help: "Give up rights, files and system calls that are not needed",
        more: "strict ends the agent at a system call that nobody foresaw, which otherwise fails. See security.md.",
    },
    Spec {
        key: Key::LogLevel,
        name: "log.level",
        value: "error|warn|info|debug|trace",
        heading: LOGGING,
        default: &["info"],
        without: "",
        list: ONE,
        help: "What to log to standard error",
        more: "debug and trace also turn on messages from the kernel side.",
    },
    Spec {
        key: Key::LogFormat,
        name: "log.format",
        value: "text|json",
        heading: LOGGING,
        default: &["text"],
        without: "",
        list: ONE,
        help: "How to log it",
        more: "",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_one_line_in_order() {
        for (index, spec) in OPTIONS.iter().enumerate() {
            assert_eq!(spec.key as usize, index, "{}", spec.name);
            assert!(!spec.default.is_empty() || !spec.without.is_empty(), "{}", spec.name);
        }
        assert_eq!(OPTIONS.len(), Key::LogFormat as usize + 1);
    }

    #[test]
    fn variables_follow_the_flags() {
        assert_eq!(
            Key::ListenAddress.spec().map(Spec::variable),
            Some("NETWATCH_WEB_LISTEN_ADDRESS".to_owned())
        );
        assert_eq!(Key::FlowLog.spec().map(Spec::variable), Some("NETWATCH_FLOW_LOG".to_owned()));
    }
}
