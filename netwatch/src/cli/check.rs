//! The one check: merged raw values in, checked configuration out.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use netwatch_common::sample::{MOST_SAMPLE_RATE, SAMPLE_BYTES};

use super::{
    Exit, Failure, LogFormat, LogLevel, LogOptions,
    option::Key,
    raw::{Given, Origin, Raw},
    terminal,
    value::{self, Wrong},
};
use crate::{
    agent::config::{
        AttachMode, Config, FlowFormat, FlowLogTarget, LabelChoice, Place, Rotation, Selection,
        SocketPlace, Strictness,
    },
    model::{Exclusion, Shares},
    serve,
};

pub(super) const STRICTNESS: [(&str, Strictness); 3] =
    [("on", Strictness::On), ("strict", Strictness::Strict), ("off", Strictness::Off)];
pub(super) const ATTACH_MODES: [(&str, AttachMode); 3] =
    [("auto", AttachMode::Auto), ("tcx", AttachMode::Tcx), ("clsact", AttachMode::Clsact)];
pub(super) const FLOW_FORMATS: [(&str, FlowFormat); 2] =
    [("text", FlowFormat::Text), ("json", FlowFormat::Json)];

pub(super) const SWITCH: [(&str, bool); 2] = [("true", true), ("false", false)];

const LEAST_FLOWS: u32 = 1024;
/// A power of two, so that rounding up never leaves the bounds.
const MOST_FLOWS: u32 = 4_194_304;
const MOST_SERIES: u32 = 1_000_000;
const MOST_DNS_RATE: u32 = 1_000_000;
const MOST_REQUESTS: u32 = 1_000_000;

/// Everything that was configured, checked.
#[derive(Debug)]
pub(super) struct Checked {
    /// For the agent.
    pub(super) config: Config,
    /// For the log.
    pub(super) log: LogOptions,
}

/// Checks every value. The first wrong one ends it.
pub(super) fn check(raw: &Raw) -> Result<Checked, Failure> {
    let values = Values(raw);
    let level = values
        .one(Key::LogLevel, |text| value::choice(text, &LogLevel::WORDS))?
        .unwrap_or_default();
    let format = values
        .one(Key::LogFormat, |text| value::choice(text, &LogFormat::WORDS))?
        .unwrap_or_default();
    let config = Config {
        selection: Selection {
            include: values.all(Key::Interface, value::glob)?,
            exclude: values.all(Key::Exclude, value::glob)?,
        },
        exclusion: Exclusion {
            networks: values.all(Key::ExcludeNet, value::network)?,
            ports: values.all(Key::ExcludePort, value::port)?,
            protocols: values.all(Key::ExcludeProtocol, value::protocol)?,
        },
        flow_log: values.one(Key::FlowLog, value::flow_log)?,
        flow_format: values
            .one(Key::FlowFormat, |text| value::choice(text, &FLOW_FORMATS))?
            .unwrap_or_default(),
        rotation: rotation(&values)?,
        log_samples: values.required(Key::FlowLogSamples, |text| value::choice(text, &SWITCH))?,
        fold: values.one(Key::FlowLogFold, value::duration)?,
        sample_rate: values
            .required(Key::SampleRate, |text| value::number(text, 0, MOST_SAMPLE_RATE))?,
        sample_length: values.required(Key::SampleLength, sample_length)?,
        dns_rate: values.required(Key::DnsRate, |text| value::number(text, 0, MOST_DNS_RATE))?,
        idle_timeout: values.required(Key::FlowIdleTimeout, value::duration)?,
        active_timeout: values.required(Key::FlowActiveTimeout, value::duration)?,
        max_flows: values
            .required(Key::MaxFlows, |text| value::number(text, LEAST_FLOWS, MOST_FLOWS))?
            .next_power_of_two(),
        pins: pins(&values)?,
        state: values.required(Key::StateDir, value::directory)?,
        docker_host: values.one(Key::DockerHost, value::docker_host)?,
        socket: socket(&values)?,
        listen: listen(&values)?,
        web_config: web_config(&values)?,
        max_requests: usize::try_from(
            values.required(Key::MaxRequests, |text| value::number(text, 0, MOST_REQUESTS))?,
        )
        .unwrap_or(usize::MAX),
        telemetry_path: values.required(Key::TelemetryPath, value::telemetry_path)?,
        max_series: usize::try_from(
            values
                .required(Key::MaxSeries, |text| value::number(text, Shares::LEAST, MOST_SERIES))?,
        )
        .unwrap_or(usize::MAX),
        linger: values.required(Key::Linger, value::age)?,
        labels: labels(&values)?,
        attach_mode: values
            .one(Key::AttachMode, |text| value::choice(text, &ATTACH_MODES))?
            .unwrap_or_default(),
        sandbox: values
            .one(Key::Sandbox, |text| value::choice(text, &STRICTNESS))?
            .unwrap_or_default(),
        colour: terminal::colour_on_stdout(),
        kernel_messages: matches!(level, LogLevel::Debug | LogLevel::Trace),
    };
    samples(&config)?;
    fold(&config)?;
    if let (Some(FlowLogTarget::File(path)), Some(given)) =
        (&config.flow_log, raw.get(Key::FlowLog))
    {
        directory(path, given)?;
    }
    Ok(Checked { config, log: LogOptions { level, format } })
}

/// Bytes that a sample can carry.
fn sample_length(text: &str) -> Result<u16, Wrong> {
    value::number(text, 0, SAMPLE_BYTES.into())
        .map(|number| u16::try_from(number).unwrap_or(SAMPLE_BYTES))
}

/// When flow log files give way. All together have to have room for the one that is written to and the one before it.
fn rotation(values: &Values<'_>) -> Result<Rotation, Failure> {
    let size = |key| values.required(key, |text| value::limit(text, value::size));
    let rotation = Rotation {
        max_size: size(Key::FlowLogMaxSize)?,
        max_age: values.required(Key::FlowLogMaxAge, |text| value::limit(text, value::age))?,
        max_total: size(Key::FlowLogMaxTotal)?,
    };
    let [one_name, all_name] = [Key::FlowLogMaxSize, Key::FlowLogMaxTotal].map(Key::name);
    match rotation {
        Rotation { max_size: None, max_total: Some(all), .. } if rotation.is_on() => {
            let all = value::show_size(all);
            Err(Failure::usage(format!(
                "--{one_name}: none lets one file be larger than the {all} of --{all_name}"
            ))
            .hint(format!("give at most half of that, or --{all_name} none")))
        }
        Rotation { max_size: Some(one), max_total: Some(all), .. } if all / 2 < one => {
            let [one, all, least] = [one, all, one.saturating_mul(2)].map(value::show_size);
            Err(Failure::usage(format!(
                "--{all_name}: {all} is less than twice the {one} that one file may have"
            ))
            .hint(format!("give at least {least}, or a smaller --{one_name}")))
        }
        _ => Ok(rotation),
    }
}

/// Lines about samples need samples, and somewhere to go.
fn samples(config: &Config) -> Result<(), Failure> {
    let fail = |what: &str, hint: &str| {
        Err(Failure::usage(format!("--{}: {what}", Key::FlowLogSamples.name())).hint(hint))
    };
    match config {
        Config { log_samples: false, .. } => Ok(()),
        Config { flow_log: None, .. } => fail(
            "there is no flow log to write them to",
            "add --flow-log FILE, or - for standard output",
        ),
        Config { sample_rate: 0, .. } => {
            fail("no packet is sampled", "give a --sample-rate of 1 or more")
        }
        Config { .. } => Ok(()),
    }
}

/// What is folded is the flow log.
fn fold(config: &Config) -> Result<(), Failure> {
    if config.fold.is_none() || config.flow_log.is_some() {
        return Ok(());
    }
    Err(Failure::usage(format!("--{}: there is no flow log to fold", Key::FlowLogFold.name()))
        .hint("add --flow-log FILE, or - for standard output"))
}

/// The socket, if there is to be one. A group that there is not is wrong all the same.
fn socket(values: &Values<'_>) -> Result<Option<SocketPlace>, Failure> {
    let group = values.one(Key::SocketGroup, value::group)?;
    let path = values.required(Key::Socket, value::socket)?;
    Ok(path.map(|path| SocketPlace { path, group }))
}

/// All labels together; the word for none goes with no other.
fn labels(values: &Values<'_>) -> Result<LabelChoice, Failure> {
    let all = values.all(Key::Labels, value::labels)?;
    if all.len() > 1 && all.iter().any(LabelChoice::is_none) {
        let given = values.0.get(Key::Labels);
        let place = given.map_or_else(String::new, |given| given.origin.place(Key::Labels));
        return Err(Failure::usage(format!("{place}: none and others"))
            .hint("give either none or the labels that you want"));
    }
    Ok(all.into_iter().fold(LabelChoice::default(), LabelChoice::and))
}

/// Where to pin, if anywhere.
fn pins(values: &Values<'_>) -> Result<Option<PathBuf>, Failure> {
    let directory = values.required(Key::PinDir, value::directory)?;
    let is_ephemeral = values.required(Key::Ephemeral, |text| value::choice(text, &SWITCH))?;
    Ok((!is_ephemeral).then_some(directory))
}

/// The file has to make sense before anything is attached.
fn web_config(values: &Values<'_>) -> Result<Option<PathBuf>, Failure> {
    let Some(path) = values.one(Key::WebConfig, value::file)? else { return Ok(None) };
    match serve::settings::check(&path) {
        Ok(()) => Ok(Some(path)),
        Err(error) if error.is_unreadable() => Err(Failure::new(Exit::Failed, error.to_string())
            .hint("check the path and the permissions, or leave out --web.config.file")),
        Err(error) => Err(Failure::usage(error.to_string())
            .hint("see docs/web.md for what may stand in it, or leave out --web.config.file")),
    }
}

/// Where to listen: at one place at least, nowhere twice; or where systemd says.
fn listen(values: &Values<'_>) -> Result<Vec<Place>, Failure> {
    let all = value::all_addresses();
    let group = values.one(Key::SocketGroup, value::group)?;
    let addresses = values.all(Key::ListenAddress, |text| value::place(text, all, group))?;
    let given = values.0.get(Key::ListenAddress);
    let place = || given.map_or_else(String::new, |given| given.origin.place(Key::ListenAddress));
    if values.required(Key::SystemdSocket, |text| value::choice(text, &SWITCH))? {
        return match given {
            Some(given) if given.origin != Origin::Default => Err(Failure::usage(format!(
                "{}: an address beside the sockets of systemd",
                place()
            ))
            .hint("give either --web.listen-address or --web.systemd-socket")),
            _ => Ok(vec![Place::Systemd]),
        };
    }
    if addresses.is_empty() {
        return Err(Failure::usage(format!("{}: the list is empty", place()))
            .hint("give an address, or leave it out"));
    }
    let mut seen = HashSet::new();
    // Port 0 asks for any free port, so two of them do not meet.
    let is_any = |place: &Place| matches!(place, Place::Address(address) if address.port() == 0);
    match addresses.iter().find(|place| !is_any(place) && !seen.insert(place.to_string())) {
        Some(twice) => Err(Failure::usage(format!("{}: {twice} is given twice", place()))
            .hint("give each address once")),
        None => Ok(addresses),
    }
}

/// A flow log needs its directory before anything is attached.
fn directory(path: &Path, given: &Given) -> Result<(), Failure> {
    let fail = |what: String, hint: String| {
        Err(Failure::new(Exit::Failed, format!("{}: {what}", given.origin.place(Key::FlowLog)))
            .hint(hint))
    };
    if path.is_dir() {
        return fail(
            format!("{} is a directory", path.display()),
            "give the name of a file in it".to_owned(),
        );
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    match std::fs::metadata(parent) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => fail(
            format!("{} is not a directory", parent.display()),
            "choose another file".to_owned(),
        ),
        Err(error) => fail(
            format!("cannot use the directory {}: {error}", parent.display()),
            format!("create it (mkdir -p {}), or choose another file", parent.display()),
        ),
    }
}

/// Merged values, with the place of each in every message about it.
struct Values<'a>(&'a Raw);

impl Values<'_> {
    /// All values of an option.
    fn all<T>(
        &self,
        key: Key,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Result<Vec<T>, Failure> {
        let Some(given) = self.0.get(key) else { return Ok(Vec::new()) };
        given
            .texts
            .iter()
            .map(|text| {
                parse(text).map_err(|Wrong { what, hint }| {
                    Failure::usage(format!("{}: '{text}' {what}", given.origin.place(key)))
                        .hint(hint)
                })
            })
            .collect()
    }

    /// The value of an option that may be left out.
    fn one<T>(
        &self,
        key: Key,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Result<Option<T>, Failure> {
        Ok(self.all(key, parse)?.pop())
    }

    /// The value of an option that has a default.
    fn required<T>(
        &self,
        key: Key,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Result<T, Failure> {
        // Only a table of options without the default that this file counts on gets here; the tests would see it.
        self.one(key, parse)?
            .ok_or_else(|| Failure::usage(format!("--{} has no value", key.name())))
    }
}

#[cfg(test)]
mod tests;
