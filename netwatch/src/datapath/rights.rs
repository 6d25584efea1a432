//! What the kernel lets this process do: its capabilities, and the mode of lockdown.

use std::fs;

use super::DatapathError;

/// Capabilities that netwatch cannot do without, and the number of each (linux/capability.h).
pub const NEEDED: [(&str, u32); 3] = [("CAP_NET_ADMIN", 12), ("CAP_BPF", 39), ("CAP_PERFMON", 38)];
/// It stands for the two younger ones.
const SYS_ADMIN: u32 = 21;

/// From this release on maps count to a control group.
const WITHOUT_MEMLOCK: (u32, u32) = (5, 11);

const LOCKDOWN: &str = "/sys/kernel/security/lockdown";
/// The mode of lockdown in which the kernel keeps its memory to itself.
pub const CONFIDENTIALITY: &str = "confidentiality";
/// Why drops are not counted then.
pub const LOCKED: &str =
    "the kernel is in lockdown mode confidentiality, in which no program may read its memory";

/// The effective capabilities of this process, a bit for each; `None` where /proc does not tell.
pub fn effective() -> Option<u64> {
    effective_in(&fs::read_to_string("/proc/self/status").ok()?)
}

fn effective_in(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

/// The needed capabilities that are not among these.
pub fn missing(effective: u64) -> Vec<&'static str> {
    let has = |bit: u32| effective & (1 << bit) != 0;
    NEEDED
        .iter()
        .filter(|(_, bit)| !(has(*bit) || *bit > SYS_ADMIN && has(SYS_ADMIN)))
        .map(|(name, _)| *name)
        .collect()
}

/// Whether only the old capability that stands for the younger ones is there.
pub fn needs_sys_admin() -> bool {
    effective().is_some_and(|have| {
        NEEDED.iter().any(|(_, bit)| *bit > SYS_ADMIN && have & (1 << bit) == 0)
    })
}

/// Whether this kernel counts maps to `RLIMIT_MEMLOCK`, which takes `CAP_SYS_RESOURCE` to raise.
pub fn needs_sys_resource() -> bool {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else { return true };
    (major, minor) < WITHOUT_MEMLOCK
}

/// Says which capability is missing before the kernel says only "operation not permitted".
pub(super) fn check(effective: Option<u64>) -> Result<(), DatapathError> {
    match effective.map(missing) {
        Some(missing) if !missing.is_empty() => Err(DatapathError::lacking(&missing)),
        _ => Ok(()),
    }
}

/// The mode of lockdown, such as `none`; `None` where the kernel has none or does not tell.
pub fn lockdown() -> Option<String> {
    mode_in(&fs::read_to_string(LOCKDOWN).ok()?)
}

/// All modes are in the file, the one in force in brackets.
fn mode_in(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('[')?;
    Some(rest.split_once(']')?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_capabilities_are_named() {
        let check =
            |mask: u64| check(effective_in(&format!("Name:\tnetwatch\nCapEff:\t{mask:016x}\n")));
        assert!(check(u64::MAX).is_ok());
        assert!(check(1 << 12 | 1 << 38 | 1 << 39).is_ok());
        assert!(check(1 << 12 | 1 << 21).is_ok(), "CAP_SYS_ADMIN stands for the younger ones");
        let error = check(1 << 39).unwrap_err();
        assert_eq!(error.to_string(), "not permitted: CAP_NET_ADMIN, CAP_PERFMON are missing");
        let error = check(1 << 39 | 1 << 38).unwrap_err();
        assert_eq!(error.to_string(), "not permitted: CAP_NET_ADMIN is missing");
    }

    #[test]
    fn the_mode_in_force_is_in_brackets() {
        assert_eq!(mode_in("none [integrity] confidentiality\n").as_deref(), Some("integrity"));
        assert_eq!(mode_in("[none] integrity confidentiality\n").as_deref(), Some("none"));
        assert_eq!(mode_in(""), None);
        assert_eq!(mode_in("none [integrity"), None);
    }
}
