//! Where maps and links stay in the kernel when no agent holds them: files in a BPF file system.

use std::{
    collections::BTreeSet,
    fmt, fs, io,
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

use super::{DatapathError, Options, abi::Abi, object::PROGRAMS, sole::Sole};
use crate::model::Feature;

/// The maps that the next agent goes on with. What is in the others is of this moment, or found out anew.
pub(super) const MAPS: [&str; 9] =
    [HEADER, "CPUS", "OUTCOMES", "INTERFACES", "FLOWS", "INDEX", "RESERVE", "EVICTED", "FRAGMENTS"];
/// Made by [`Header`].
pub(super) const HEADER: &str = "HEADER";

/// Where a kernel mounts it, by custom (systemd does).
const MOUNT_POINT: &str = "/sys/fs/bpf";
/// `BPF_FS_MAGIC` in linux/magic.h.
const MAGIC: i64 = 0xcafe_4a11;
/// Before the ifindex in the name of a link's file; behind it the program.
const LINK: &str = "link-";

/// The directory of one network namespace.
#[derive(Clone, Debug)]
pub(super) struct Pins(PathBuf);

impl Pins {
    /// Where to pin; or why not at all.
    pub(super) fn choose(options: &Options, sole: &Sole) -> Result<Self, String> {
        let root = options.pins.as_ref().ok_or("not asked for (--ephemeral)")?;
        if !sole.is_sole() {
            return Err("another agent runs here".into());
        }
        Self::prepare(root)
    }

    /// The directory, made if there is none; or the reason for people why there is none.
    fn prepare(root: &Path) -> Result<Self, String> {
        let fail = |error: io::Error| format!("{}: {error}", root.display());
        let directory = Self::of_this_namespace(root).map_err(fail)?;
        if place(root) == PinPlace::Usable {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory.0).map_err(fail)?;
        }
        // Asked again: somebody may have been faster.
        match place(root) {
            PinPlace::Usable => Ok(directory),
            lacking => Err(lacking.to_string()),
        }
    }

    /// The directory, whether it is there or not.
    fn of_this_namespace(root: &Path) -> io::Result<Self> {
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
    pub(super) fn link(&self, ifindex: u32, program: &str) -> PathBuf {
        self.0.join(format!("{LINK}{ifindex}-{program}"))
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

    /// The interfaces that have a link here.
    pub(super) fn interfaces(&self) -> BTreeSet<u32> {
        self.files().unwrap_or_default().iter().filter_map(|path| link_of(path)).collect()
    }

    /// A link that is here, of an interface and a program.
    pub(super) fn open(&self, ifindex: u32, program: &str) -> Option<FdLink> {
        PinnedLink::from_pin(self.link(ifindex, program)).ok().map(FdLink::from)
    }

    /// Takes the links of an interface away from here: they end with those who hold them.
    pub(super) fn release(&self, ifindex: u32) {
        for (program, _) in PROGRAMS {
            let path = self.link(ifindex, program);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(path = %path.display(), %error, "a pinned link could not be removed");
                }
                _ => {}
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

/// Whether counting can go on without the agent; where it cannot, it is lacking for this reason.
pub(super) fn feature(lacking: Option<&String>) -> Feature {
    const NAME: &str = "pinning";
    lacking.map_or_else(|| Feature::available(NAME), |why| Feature::lacking(NAME, why.clone()))
}

/// Takes away what an agent of this network namespace has left pinned below here. Whether there was anything.
pub fn remove(root: &Path) -> Result<bool, DatapathError> {
    if !Sole::claim().is_sole() {
        return Err(DatapathError::InUse);
    }
    let fail = |source| DatapathError::Pins { path: root.into(), source };
    match Pins::of_this_namespace(root).map_err(fail)?.remove() {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(fail(error)),
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

/// What a directory is to pin below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinPlace {
    /// There, or it can be made.
    Usable,
    /// In no BPF file system.
    NotMounted(PathBuf),
    /// Anybody may make a directory where the file system is mounted by custom, and would own what is in it.
    Foreign(PathBuf),
}

impl fmt::Display for PinPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usable => f.write_str("usable"),
            Self::NotMounted(path) => write!(f, "{}: not in a BPF file system", path.display()),
            Self::Foreign(path) => write!(f, "{}: somebody else may write there", path.display()),
        }
    }
}

/// What it is now.
pub fn place(root: &Path) -> PinPlace {
    if !is_bpf(root) {
        return PinPlace::NotMounted(root.into());
    }
    let own = Pins::of_this_namespace(root).map(|pins| pins.0);
    let mut all = own.into_iter().chain([root.to_owned()]);
    all.find(|path| is_foreign(path)).map_or(PinPlace::Usable, PinPlace::Foreign)
}

/// Whether others than root and ourselves may write into a directory. One that is not there is nobody's yet.
fn is_foreign(path: &Path) -> bool {
    const OTHERS_WRITE: u32 = 0o022;
    let is_ours = |metadata: &fs::Metadata| {
        let owners = [0, rustix::process::geteuid().as_raw()];
        metadata.is_dir() && owners.contains(&metadata.uid()) && metadata.mode() & OTHERS_WRITE == 0
    };
    match fs::symlink_metadata(path) {
        Ok(metadata) => !is_ours(&metadata),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// The interface, by the name of a link's file.
fn link_of(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?.strip_prefix(LINK)?;
    name.split_once('-')?.0.parse().ok()
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
        assert_eq!(link_of(&pins.link(17, "netwatch_ingress")), Some(17));
        assert_eq!(link_of(&pins.map("INTERFACES")), None);
        assert_eq!(link_of(Path::new("/there/link-x-ingress")), None);
    }

    #[test]
    fn what_is_no_bpf_file_system_is_refused_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("deep/netwatch");
        let reason = Pins::prepare(&root).unwrap_err();
        assert_eq!(reason, format!("{}: not in a BPF file system", root.display()));
        assert!(!root.exists());
    }

    #[test]
    fn a_directory_of_somebody_else_is_told_from_ours() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_foreign(folder.path()));
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(is_foreign(folder.path()));
        assert!(!is_foreign(&folder.path().join("none")));
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(is_foreign(&folder.path().join("file")));
    }

    #[test]
    fn each_namespace_has_a_cookie() {
        assert_ne!(namespace_cookie(), 0);
    }
}
