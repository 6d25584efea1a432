//! The machine that was measured on, as far as it says what it is.

use std::{fmt, fs, thread};

use serde::Serialize;

/// A machine.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// As the processor calls itself.
    pub processor: String,
    /// CPUs that may be used.
    pub cpus: usize,
    /// Whether it is a virtual one.
    pub is_virtual: bool,
    /// Memory.
    pub memory_bytes: u64,
    /// `uname -r`, without what its builder added.
    pub kernel: String,
    /// As /etc/os-release calls it.
    pub system: String,
    /// `net.core.bpf_jit_enable`.
    pub jit: String,
    /// Processes that wanted a CPU when the run began, on average over a minute. The bench wants to be alone.
    pub load: f64,
    /// The day of the run, UTC.
    pub date: String,
}

impl Machine {
    /// This one, now.
    pub fn this() -> Self {
        let cpuinfo = read("/proc/cpuinfo");
        Self {
            processor: value(&cpuinfo, "model name", ':').unwrap_or("unknown").into(),
            cpus: thread::available_parallelism().map_or(0, usize::from),
            is_virtual: value(&cpuinfo, "flags", ':')
                .is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
            memory_bytes: value(&read("/proc/meminfo"), "MemTotal", ':')
                .and_then(|text| text.strip_suffix(" kB")?.parse::<u64>().ok())
                .map_or(0, |kilobytes| kilobytes * 1024),
            kernel: read("/proc/sys/kernel/osrelease")
                .trim()
                .split('-')
                .next()
                .unwrap_or_default()
                .into(),
            system: value(&read("/etc/os-release"), "PRETTY_NAME", '=')
                .map_or("unknown", |name| name.trim_matches('"'))
                .into(),
            jit: read("/proc/sys/net/core/bpf_jit_enable").trim().into(),
            load: read("/proc/loadavg")
                .split(' ')
                .next()
                .and_then(|load| load.parse().ok())
                .unwrap_or(f64::NAN),
            date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {} CPUs{}, {:.0} GiB; Linux {}, {}; BPF JIT {}; {}, load {}",
            self.processor,
            self.cpus,
            if self.is_virtual { " of a virtual machine" } else { "" },
            self.memory_gib(),
            self.kernel,
            self.system,
            if self.jit == "0" { "off" } else { "on" },
            self.date,
            self.load,
        )
    }
}

impl Machine {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    fn memory_gib(&self) -> f64 {
        self.memory_bytes as f64 / f64::from(1 << 30)
    }
}

/// The text of a file; nothing where there is none.
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// What stands behind the first line of this name.
fn value<'a>(text: &'a str, name: &str, separator: char) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(separator)?;
        (key.trim() == name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_whole_name() {
        let text = "model\t\t: 17\nmodel name\t: AMD EPYC\nflags\t\t: fpu hypervisor\n";
        assert_eq!(value(text, "model name", ':'), Some("AMD EPYC"));
        assert_eq!(value(text, "name", ':'), None);
        assert_eq!(
            value("ID=debian\nPRETTY_NAME=\"Debian 12\"", "PRETTY_NAME", '='),
            Some("\"Debian 12\"")
        );
    }
}
