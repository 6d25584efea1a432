//! Who is at the other end of a connection.
//!
//! The socket's mode lets in root, its owner and its group. It does not yet in the moment between its making and the
//! setting of the mode; and not everybody who is let in should go unnoticed.

use std::fs;

use tokio::net::{UnixStream, unix::UCred};

/// Who may use the socket, besides root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowed {
    /// The user that the socket belongs to.
    pub(super) owner: u32,
    /// The group that it belongs to.
    pub(super) group: u32,
}

impl Allowed {
    /// Whether who is there may read.
    pub(super) fn admits(self, stream: &UnixStream) -> bool {
        let Ok(peer) = stream.peer_cred() else { return false };
        tracing::debug!(pid = peer.pid(), uid = peer.uid(), gid = peer.gid(), "a reader has come");
        self.admits_ids(peer.uid(), peer.gid(), groups_of(&peer).as_deref())
    }

    /// Of a process whose groups we cannot see (it is in another PID namespace) the socket's mode has to be enough.
    fn admits_ids(self, user: u32, group: u32, more_groups: Option<&[u32]>) -> bool {
        user == 0
            || user == self.owner
            || group == self.group
            || more_groups.is_none_or(|groups| groups.contains(&self.group))
    }
}

fn groups_of(peer: &UCred) -> Option<Vec<u32>> {
    let pid = peer.pid().filter(|pid| *pid > 0)?;
    groups(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

/// The supplementary groups in a process's status, proc_pid_status(5).
fn groups(status: &str) -> Option<Vec<u32>> {
    let line = status.lines().find_map(|line| line.strip_prefix("Groups:"))?;
    line.split_whitespace().map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_owner_and_group() {
        let allowed = Allowed { owner: 7, group: 70 };
        for (user, group, more, expected) in [
            (0, 0, Some(&[] as &[u32]), true),
            (7, 1, Some(&[]), true),
            (8, 70, Some(&[]), true),
            (8, 1, Some(&[2, 70]), true),
            (8, 1, None, true),
            (8, 1, Some(&[2, 71]), false),
            (70, 7, Some(&[]), false),
        ] {
            assert_eq!(allowed.admits_ids(user, group, more), expected, "{user} {group} {more:?}");
        }
    }

    #[test]
    fn groups_are_read() {
        assert_eq!(groups("Name:\tx\nGroups:\t4 27 \nPid:\t1\n"), Some(vec![4, 27]));
        assert_eq!(groups("Groups:\t\n"), Some(vec![]));
        assert_eq!(groups("Name:\tx\n"), None);
        assert_eq!(groups("Groups:\tx\n"), None);
    }
}
