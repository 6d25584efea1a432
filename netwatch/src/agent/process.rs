//! This process, as the kernel accounts for it.

use std::fs;

use crate::model::ProcessStatus;

/// Ticks a second in /proc on every architecture that Linux has for servers (`USER_HZ`).
const TICKS: f64 = 100.0;

/// What can be read; nothing where /proc is not mounted.
pub(super) fn status() -> Option<ProcessStatus> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{name}")).ok();
    let open_fds = fs::read_dir("/proc/self/fd").ok()?.count();
    parse(
        &read("self/stat")?,
        &read("self/limits")?,
        &read("stat")?,
        u64::try_from(open_fds).unwrap_or(u64::MAX),
        // Of 4 KiB on x86-64.
        4096,
    )
}

fn parse(stat: &str, limits: &str, host: &str, open_fds: u64, page: u64) -> Option<ProcessStatus> {
    // The name in brackets may have blanks and brackets in it (proc_pid_stat(5)). Field 3 comes next.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u32>().ok().map(f64::from);
    let large = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let booted = host.lines().find_map(|line| line.strip_prefix("btime "))?;
    let most = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    Some(ProcessStatus {
        cpu_seconds: (field(14)? + field(15)?) / TICKS,
        started: booted.trim().parse::<u32>().ok().map(f64::from)? + field(22)? / TICKS,
        virtual_bytes: large(23)?,
        resident_bytes: large(24)?.saturating_mul(page),
        open_fds,
        // `unlimited` is no number.
        max_fds: most.split_whitespace().next()?.parse().unwrap_or(u64::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_the_name() {
        let stat =
            "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 5 0 1000 8192000 300 1 1";
        let limits = "Limit Soft Hard Units\nMax open files            1024                 4096                 files\n";
        let status = parse(stat, limits, "cpu 1\nbtime 1500000000\n", 9, 4096).unwrap();
        assert!((status.cpu_seconds - 3.0).abs() < 1e-9);
        assert!((status.started - 1_500_000_010.0).abs() < 1e-9);
        assert_eq!((status.virtual_bytes, status.resident_bytes), (8_192_000, 300 * 4096));
        assert_eq!((status.open_fds, status.max_fds), (9, 1024));
        assert!(parse("7 (a", limits, "", 9, 4096).is_none());
    }

    #[test]
    fn this_process_is_there() {
        let status = super::status().unwrap();
        assert!(status.resident_bytes > 0 && status.open_fds > 2 && status.started > 1e9);
    }
}
