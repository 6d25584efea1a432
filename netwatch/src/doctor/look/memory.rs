//! Limits of memory: of the process, and of its control group.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::super::facts::Memory;
use crate::datapath::Trial;

/// Maps of the default configuration, where loading could not show how large they are.
const MAPS: u64 = 32 << 20;
/// What the agent takes besides: its own, and the history for `netwatch flows`.
const AGENT: u64 = (40 << 20) + (64 << 20);

/// Where control groups are, and the name of the limit: version 2, then version 1.
const GROUPS: [(&str, &str, &str); 2] = [
    ("/sys/fs/cgroup", "", "memory.max"),
    ("/sys/fs/cgroup/memory", "memory", "memory.limit_in_bytes"),
];
/// A limit of version 1 that is none: the largest number of whole pages.
const UNLIMITED: u64 = 1 << 60;

pub(super) fn look(trial: Option<&Trial>) -> Memory {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = GROUPS.iter().filter_map(|(root, controller, file)| {
        limit(Path::new(root), &group_of(&groups, controller)?, file)
    });
    Memory {
        memlock: memlock(&fs::read_to_string("/proc/self/limits").unwrap_or_default()),
        group: limits.min(),
        needed: trial.map_or(MAPS, |trial| trial.map_bytes) + AGENT,
    }
}

/// `4:memory:/system.slice`; of version 2 `0::/system.slice`.
fn group_of(text: &str, controller: &str) -> Option<PathBuf> {
    text.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let found = fields.next()?.split(',').any(|name| name == controller);
        found.then(|| fields.next()).flatten().map(|path| path.trim_start_matches('/').into())
    })
}

/// The smallest limit of a group and those above it.
fn limit(root: &Path, group: &Path, file: &str) -> Option<u64> {
    group
        .ancestors()
        .filter_map(|group| {
            let text = fs::read_to_string(root.join(group).join(file)).ok()?;
            text.trim().parse().ok().filter(|limit| *limit < UNLIMITED)
        })
        .min()
}

/// The soft limit in bytes, as proc(5) shows it.
fn memlock(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max locked memory"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_found_in_both_versions() {
        let one = "5:cpu,cpuacct:/a\n4:memory:/docker/1f\n0::/x\n";
        assert_eq!(group_of(one, "memory"), Some("docker/1f".into()));
        assert_eq!(
            group_of("0::/system.slice/x:y.service\n", ""),
            Some("system.slice/x:y.service".into())
        );
        assert_eq!(group_of("0::/\n", "memory"), None);
        assert_eq!(group_of("", ""), None);
    }

    #[test]
    fn the_smallest_limit_counts() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        let write = |group: &str, text: &str| {
            fs::write(root.path().join(group).join("memory.max"), text).unwrap();
        };
        let of = || limit(root.path(), Path::new("a/b"), "memory.max");
        assert_eq!(of(), None);
        write("a/b", "max\n");
        write("", "9223372036854771712\n");
        assert_eq!(of(), None, "as good as none");
        write("a", "1000\n");
        write("a/b", "5000\n");
        assert_eq!(of(), Some(1000));
    }

    #[test]
    fn the_soft_limit_is_the_first() {
        let limits = "Limit                     Soft Limit  Hard Limit  Units\n\
                      Max locked memory         65536       131072      bytes\n";
        assert_eq!(memlock(limits), Some(65536));
        assert_eq!(memlock("Max locked memory  unlimited unlimited bytes\n"), None);
    }
}
