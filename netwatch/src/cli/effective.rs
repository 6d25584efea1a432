//! The effective configuration as TOML that `--config` reads back to the same configuration, each value with the
//! place that it came from.

use std::fmt::Write as _;

use super::{
    check::{ATTACH_MODES, Checked, FLOW_FORMATS, STRICTNESS},
    log::{LogFormat, LogLevel},
    option::{Key, OPTIONS, Spec},
    raw::{Origin, Raw},
    value::{show_duration, show_labels, show_limit, show_port, show_size},
};
use crate::agent::config::{FlowLogTarget, Place};

/// Column of the comments, if the values leave room.
const COMMENT_COLUMN: usize = 44;

/// The whole text: keys without a table first, then table by table, as TOML wants it.
pub(super) fn effective(checked: &Checked, raw: &Raw) -> String {
    let mut text = String::from("# netwatch run: the effective configuration\n");
    for spec in OPTIONS.iter().filter(|spec| !spec.name.contains('.')) {
        line(&mut text, spec, spec.name, checked, raw);
    }
    let mut table = "";
    for spec in OPTIONS {
        if let Some((of, name)) = spec.name.split_once('.') {
            if of != table {
                let _ = write!(text, "\n[{of}]\n");
                table = of;
            }
            line(&mut text, spec, name, checked, raw);
        }
    }
    text
}

fn line(text: &mut String, spec: &Spec, name: &str, checked: &Checked, raw: &Raw) {
    let given = raw.get(spec.key);
    let mut origin = given.map_or(&Origin::Default, |given| &given.origin).to_string();
    let assignment = match value(spec.key, checked) {
        Some(value) => format!("{name} = {value}"),
        None => format!("# {name} is not set"),
    };
    if spec.default.is_empty() && origin == "default" {
        let _ = write!(origin, ": {}", spec.without);
    }
    if let (Key::MaxFlows, Some([asked])) = (spec.key, given.map(|given| given.texts.as_slice()))
        && *asked != checked.config.max_flows.to_string()
    {
        let _ = write!(origin, ", {asked} rounded up to a power of two");
    }
    let _ = writeln!(text, "{assignment:COMMENT_COLUMN$} # {origin}");
}

/// A checked value in TOML; `None` where the option is not set.
fn value(key: Key, checked: &Checked) -> Option<String> {
    let config = &checked.config;
    Some(match key {
        Key::Interface => list(config.selection.include.iter().map(|glob| glob.glob().glob())),
        Key::Exclude => list(config.selection.exclude.iter().map(|glob| glob.glob().glob())),
        Key::AttachMode => string(word(&ATTACH_MODES, config.attach_mode)),
        Key::ExcludeNet => shown(config.exclusion.networks.iter().map(ToString::to_string)),
        Key::ExcludePort => shown(config.exclusion.ports.iter().copied().map(show_port)),
        Key::ExcludeProtocol => shown(config.exclusion.protocols.iter().map(ToString::to_string)),
        Key::FlowLog => match config.flow_log.as_ref()? {
            FlowLogTarget::Stdout => string("-"),
            FlowLogTarget::File(path) => string(&path.to_string_lossy()),
        },
        Key::FlowFormat => string(word(&FLOW_FORMATS, config.flow_format)),
        Key::FlowLogMaxSize => string(&show_limit(config.rotation.max_size, show_size)),
        Key::FlowLogMaxAge => string(&show_limit(config.rotation.max_age, show_duration)),
        Key::FlowLogMaxTotal => string(&show_limit(config.rotation.max_total, show_size)),
        Key::FlowLogSamples => config.log_samples.to_string(),
        Key::FlowLogFold => string(&show_duration(config.fold?)),
        Key::SampleRate => config.sample_rate.to_string(),
        Key::SampleLength => config.sample_length.to_string(),
        Key::DnsRate => config.dns_rate.to_string(),
        Key::FlowIdleTimeout => string(&show_duration(config.idle_timeout)),
        Key::FlowActiveTimeout => string(&show_duration(config.active_timeout)),
        Key::MaxFlows => config.max_flows.to_string(),
        Key::PinDir => string(&config.pins.as_ref()?.to_string_lossy()),
        Key::StateDir => string(&config.state.to_string_lossy()),
        Key::Ephemeral => config.pins.is_none().to_string(),
        Key::DockerHost => string(config.docker_host.as_ref()?),
        Key::Socket => match &config.socket {
            Some(socket) => string(&socket.path.to_string_lossy()),
            None => string("none"),
        },
        Key::SocketGroup => string(&config.socket.as_ref()?.group?.to_string()),
        Key::ListenAddress if config.listen == [Place::Systemd] => return None,
        Key::ListenAddress => shown(config.listen.iter().map(ToString::to_string)),
        Key::SystemdSocket => (config.listen == [Place::Systemd]).to_string(),
        Key::WebConfig => string(&config.web_config.as_ref()?.to_string_lossy()),
        Key::MaxRequests => config.max_requests.to_string(),
        Key::TelemetryPath => string(&config.telemetry_path),
        Key::MaxSeries => config.max_series.to_string(),
        Key::Linger => string(&show_duration(config.linger)),
        Key::Labels => list(show_labels(&config.labels).into_iter()),
        Key::Sandbox => string(word(&STRICTNESS, config.sandbox)),
        Key::LogLevel => string(word(&LogLevel::WORDS, checked.log.level)),
        Key::LogFormat => string(word(&LogFormat::WORDS, checked.log.format)),
    })
}

fn word<T: Copy + PartialEq>(words: &[(&'static str, T)], value: T) -> &'static str {
    words.iter().find(|(_, have)| *have == value).map_or("", |(word, _)| word)
}

fn string(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn shown(values: impl Iterator<Item = String>) -> String {
    let texts: Vec<String> = values.collect();
    list(texts.iter().map(String::as_str))
}

fn list<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    toml::Value::Array(texts.map(toml::Value::from).collect()).to_string()
}
