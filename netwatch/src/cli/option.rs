//! The table of options: one line of truth for flag, variable, file key, default, help and documentation.

mod table;

pub(super) use table::OPTIONS;

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
    PinDir,
    StateDir,
    Ephemeral,
    DockerHost,
    Socket,
    SocketGroup,
    ListenAddress,
    SystemdSocket,
    WebConfig,
    TelemetryPath,
    MaxRequests,
    MaxSeries,
    Linger,
    Labels,
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

/// The values of an option whose flag needs none.
const SWITCH: &str = "true|false";

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
