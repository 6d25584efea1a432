//! Where maps and links stay in the kernel when no agent holds them: files in a BPF file system.

use std::{
    fs, io,
    os::{
        fd::AsRawFd as _,
        unix::{
            fs::{DirBuilderExt as _, MetadataExt as _},
            net::UnixDatagram,
        },
    },
    path::{Path, PathBuf},
};

use aya::{
    maps::{Array, Map, MapData},
    programs::links::{FdLink, PinnedLink},
};
use netwatch_common::{ABI_VERSION, header::Header};
use rustix::{fs::statfs, mount::MountFlags};

use super::abi::Abi;

/// The maps that the next agent goes on with. What is in the others is of this moment, or found out anew.
pub(super) const MAPS: [&str; 9] =
    [HEADER, "CPUS", "OUTCOMES", "INTERFACES", "FLOWS", "INDEX", "RESERVE", "EVICTED", "FRAGMENTS"];
/// Made by [`Header`].
pub(super) const HEADER: &str = "HEADER";

/// Where a kernel mounts it, by custom (systemd does).
const MOUNT_POINT: &str = "/sys/fs/bpf";
/// `BPF_FS_MAGIC` in linux/magic.h.
const MAGIC: i64 = 0xcafe_4a11;
/// Before the ifindex in the name of a link's file; behind it the hook.
const LINK: &str = "link-";

/// The directory of one network namespace.
#[derive(Clone, Debug)]
pub(super) struct Pins(PathBuf);

/// The links of an interface, one for each hook, as far as they are there.
pub(super) struct PinnedLinks {
    pub(super) ifindex: u32,
    pub(super) links: Vec<(String, FdLink)>,
}

impl Pins {
    /// The directory, made if there is none; or the reason for people why there is none.
    pub(super) fn prepare(root: &Path) -> Result<Self, String> {
        let fail =
            |what: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", what.display());
        if !is_bpf(root) {
            return Err(fail(root, &"not in a BPF file system, and none could be mounted"));
        }
        let directory = Self::of_this_namespace(root).map_err(|error| fail(root, &error))?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory.0)
            .map_err(|error| fail(&directory.0, &error))?;
        // Anybody may make a directory where the file system is mounted by custom, and would own what is in it.
        if let Some(foreign) = [root, &directory.0].into_iter().find(|path| is_foreign(path)) {
            return Err(fail(foreign, &"somebody else may write there"));
        }
        Ok(directory)
    }

    /// The directory, whether it is there or not.
    pub(super) fn of_this_namespace(root: &Path) -> io::Result<Self> {
        let inode = fs::metadata("/proc/thread-self/ns/net")?.ino();
        Ok(Self(root.join(format!("net-{inode}"))))
    }

    pub(super) fn directory(&self) -> &Path {
        &self.0
    }

    /// The file of a map.
    pub(super) fn map(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The file of a link.
    pub(super) fn link(&self, ifindex: u32, hook: &str) -> PathBuf {
        self.0.join(format!("{LINK}{ifindex}-{hook}"))
    }

    /// What an agent that completed its work has left here.
    pub(super) fn header(&self) -> Option<Header> {
        let map = MapData::from_pin(self.map(HEADER)).ok()?;
        let header = Array::<_, Abi<Header>>::try_from(Map::Array(map)).ok()?;
        let Abi(header) = header.get(&0, 0).ok()?;
        // What stands behind another version may be anything.
        (header.abi == ABI_VERSION).then_some(header)
    }

    /// Whether anything at all is here.
    pub(super) fn is_empty(&self) -> bool {
        self.files().is_ok_and(|files| files.is_empty())
    }

    /// All links that are here.
    pub(super) fn links(&self) -> Vec<PinnedLinks> {
        let mut all: Vec<PinnedLinks> = Vec::new();
        for path in self.files().unwrap_or_default() {
            let Some((ifindex, hook)) = link_of(&path) else { continue };
            let Ok(link) = PinnedLink::from_pin(&path) else { continue };
            let link = (hook, FdLink::from(link));
            match all.iter_mut().find(|known| known.ifindex == ifindex) {
                Some(known) => known.links.push(link),
                None => all.push(PinnedLinks { ifindex, links: vec![link] }),
            }
        }
        all
    }

    /// Takes the links of an interface away from here: they end with those who hold them.
    pub(super) fn release(&self, ifindex: u32) {
        for path in self.files().unwrap_or_default() {
            if link_of(&path).is_some_and(|(of, _)| of == ifindex)
                && let Err(error) = fs::remove_file(&path)
            {
                tracing::warn!(path = %path.display(), %error, "a pinned link could not be removed");
            }
        }
    }

    /// Takes everything away: links first, so that no program counts into maps that nobody finds.
    pub(super) fn clear(&self) -> io::Result<()> {
        let (links, others): (Vec<_>, Vec<_>) =
            self.files()?.into_iter().partition(|path| link_of(path).is_some());
        links.iter().chain(&others).try_for_each(fs::remove_file)
    }

    /// The same, and the directory itself.
    pub(super) fn remove(&self) -> io::Result<()> {
        self.clear()?;
        fs::remove_dir(&self.0)?;
        // Of other namespaces there may be more in it.
        let _ = self.0.parent().map(fs::remove_dir);
        Ok(())
    }

    fn files(&self) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(&self.0)?.map(|entry| Ok(entry?.path())).collect()
    }
}

/// Mounts a BPF file system where one is mounted by custom, if there is to be a directory in it and none is mounted. An agent
/// may not do that any more once it has given up what it does not need to observe.
pub fn mount(root: &Path) -> io::Result<()> {
    if is_bpf(root) || !root.starts_with(MOUNT_POINT) {
        return Ok(());
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let options = Some(c"mode=0700");
    Ok(rustix::mount::mount("bpf", MOUNT_POINT, "bpf", flags, options)?)
}

/// Whether others than root and ourselves may write into a directory.
fn is_foreign(path: &Path) -> bool {
    const OTHERS_WRITE: u32 = 0o022;
    fs::symlink_metadata(path).map_or(true, |metadata| {
        let owners = [0, rustix::process::geteuid().as_raw()];
        !owners.contains(&metadata.uid())
            || metadata.mode() & OTHERS_WRITE != 0
            || !metadata.is_dir()
    })
}

/// Interface and hook, by the name of a link's file.
fn link_of(path: &Path) -> Option<(u32, String)> {
    let name = path.file_name()?.to_str()?.strip_prefix(LINK)?;
    let (ifindex, hook) = name.split_once('-')?;
    Some((ifindex.parse().ok()?, hook.into()))
}

/// Whether the path, or as much of it as there is, lies in a BPF file system.
fn is_bpf(path: &Path) -> bool {
    let there = path.ancestors().find(|ancestor| ancestor.exists());
    there.and_then(|there| statfs(there).ok()).is_some_and(|status| status.f_type == MAGIC)
}

/// The kernel's cookie of our network namespace, from Linux 5.14 on; otherwise 0.
pub(super) fn namespace_cookie() -> u64 {
    let Ok(socket) = UnixDatagram::unbound() else { return 0 };
    let (mut cookie, mut size) = (0_u64, 8);
    // SAFETY: valid pointers to a `u64`, and to its size.
    #[expect(unsafe_code, reason = "no library knows this option of sockets")]
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut size,
        )
    };
    if result == 0 { cookie } else { 0 }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_link_is_found_by_the_name_of_its_file() {
        let pins = Pins("/there".into());
        let of = |path: &Path| link_of(path);
        assert_eq!(of(&pins.link(17, "ingress")), Some((17, "ingress".into())));
        assert_eq!(of(&pins.map("INTERFACES")), None);
        assert_eq!(of(Path::new("/there/link-x-ingress")), None);
    }

    #[test]
    fn what_is_no_bpf_file_system_is_refused_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("deep/netwatch");
        let reason = Pins::prepare(&root).unwrap_err();
        assert_eq!(
            reason,
            format!("{}: not in a BPF file system, and none could be mounted", root.display())
        );
        assert!(!root.exists());
    }

    #[test]
    fn a_directory_of_somebody_else_is_told_from_ours() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_foreign(folder.path()));
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(is_foreign(folder.path()));
        assert!(is_foreign(&folder.path().join("none")));
    }

    #[test]
    fn each_namespace_has_a_cookie() {
        assert_ne!(namespace_cookie(), 0);
    }
}
