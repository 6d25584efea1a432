//! Which number the kernel has for a network namespace (`RTM_GETNSID`).
//!
//! It is the number that `IFLA_LINK_NETNSID` shows on a veth whose peer lives in that namespace: it joins veth and
//! container without entering the namespace, and before the first packet. A namespace gets its number when a link first
//! leads into it, and loses it to another one when it has gone: a number is good only for as long as a link shows it.

use std::{
    fs::{self, File},
    io,
    os::{fd::AsRawFd, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::{NetlinkError, socket_error, wire};
use crate::model::{Container, Source};

const DIRECTORY: &str = "/run/netns";
/// More names than any host has; a full directory must not hold up the events.
const MOST: usize = 4096;
const NETNSA_NSID: u16 = 1;
const NETNSA_PID: u16 = 2;
const NETNSA_FD: u16 = 3;
const NLMSG_ERROR: u16 = 2;

/// The number of the namespace of a process; `None` if it has none yet, or the process has gone.
pub fn namespace_id_of_pid(pid: i32) -> Option<i32> {
    let pid = u32::try_from(pid).ok().filter(|pid| *pid != 0)?;
    found(open().and_then(|mut socket| ask(&mut socket, NETNSA_PID, pid)))
}

/// The number of the namespace that a file stands for (`/run/netns/…`, `/var/run/docker/netns/…`, `/proc/…/ns/net`).
pub fn namespace_id_of_path(path: &Path) -> Option<i32> {
    found(open().and_then(|mut socket| of_path(&mut socket, path)))
}

/// The number under which the kernel knows the network namespace of a container everywhere (`net.ns.inum`, an inode of
/// nsfs): the only one that its own programs can read. `Ok(None)` while the container has no process.
///
/// The engine's own file takes the right to look into its folder, which is root's. A process of others takes the rights of
/// `ptrace` (`CAP_SYS_PTRACE`), which Landlock refuses too. A name of `ip netns` takes neither.
pub fn namespace_inode(container: &Container) -> io::Result<Option<u32>> {
    let by_name = Path::new(DIRECTORY).join(&container.name);
    match (container.source, container.pid) {
        (Source::Namespace, _) => inode(&by_name).map(Some),
        (Source::Engine, Some(pid)) if pid != 0 => container
            .namespace
            .as_deref()
            .map_or_else(|| Err(io::ErrorKind::NotFound.into()), inode)
            .or_else(|_| inode(&PathBuf::from(format!("/proc/{pid}/ns/net"))))
            .map(Some),
        (Source::Engine, _) => Ok(None),
    }
}

/// Where the mount that makes a file a namespace is not seen, there is an empty file, whose number would mean another one.
fn inode(path: &Path) -> io::Result<u32> {
    let (found, own) = (fs::metadata(path)?, fs::metadata("/proc/thread-self/ns/net")?);
    if found.dev() != own.dev() {
        return Err(io::Error::other(format!("{} is no namespace here", path.display())));
    }
    u32::try_from(found.ino()).map_err(io::Error::other)
}

/// The namespaces that `ip netns` names and that have a number, as containers.
pub fn named_namespaces() -> Vec<(Container, i32)> {
    let Ok(entries) = fs::read_dir(DIRECTORY) else { return Vec::new() };
    let Ok(mut socket) = open() else { return Vec::new() };
    let mut named: Vec<_> = entries
        .flatten()
        .take(MOST)
        .filter_map(|entry| {
            let id = found(of_path(&mut socket, &entry.path()))?;
            Some((container(entry.file_name().to_string_lossy().into_owned()), id))
        })
        .collect();
    named.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
    named
}

fn container(name: String) -> Container {
    Container {
        id: name.clone(),
        name,
        image: String::new(),
        project: None,
        service: None,
        attachments: Vec::new(),
        pid: None,
        namespace: None,
        host_network: false,
        shares_with: None,
        published: Vec::new(),
        shared_by: Vec::new(),
        source: Source::Namespace,
    }
}

fn found(answer: Result<Option<i32>, NetlinkError>) -> Option<i32> {
    answer.unwrap_or_else(|error| {
        // A process or a name that went away in between is everyday life.
        tracing::debug!(%error, "no number for a network namespace");
        None
    })
}

fn open() -> Result<Socket, NetlinkError> {
    let mut socket = Socket::new(NETLINK_ROUTE).map_err(socket_error("open"))?;
    socket.bind(&SocketAddr::new(0, 0)).map_err(socket_error("bind"))?;
    // The answer is in the queue when `send` returns, so there is never anything to wait for.
    socket.set_non_blocking(true).map_err(socket_error("set up"))?;
    Ok(socket)
}

fn of_path(socket: &mut Socket, path: &Path) -> Result<Option<i32>, NetlinkError> {
    let file = File::open(path)
        .map_err(|source| NetlinkError::Namespace { path: path.to_owned(), source })?;
    let Ok(fd) = u32::try_from(file.as_raw_fd()) else { return Ok(None) };
    ask(socket, NETNSA_FD, fd)
}

fn ask(socket: &mut Socket, by: u16, value: u32) -> Result<Option<i32>, NetlinkError> {
    let mut body = vec![0; 4];
    body.extend_from_slice(&8_u16.to_ne_bytes());
    body.extend_from_slice(&by.to_ne_bytes());
    body.extend_from_slice(&value.to_ne_bytes());
    let flags = u16::try_from(libc::NLM_F_REQUEST).unwrap_or_default();
    let refused =
        |source| NetlinkError::Refused { request: "the number of a network namespace", source };
    socket
        .send_to(&wire::request(libc::RTM_GETNSID, flags, 1, &body), &SocketAddr::new(0, 0), 0)
        .map_err(refused)?;
    let mut answer = Vec::with_capacity(4096);
    socket.recv(&mut answer, 0).map_err(refused)?;
    for message in wire::messages(&answer) {
        if message.kind == NLMSG_ERROR {
            let code = wire::i32_at(message.payload).unwrap_or_default();
            return Err(refused(io::Error::from_raw_os_error(-code)));
        }
        if message.kind == libc::RTM_NEWNSID {
            let mut attributes = wire::attributes(message.payload.get(4..).unwrap_or_default());
            let id = attributes
                .find(|(kind, _)| *kind == NETNSA_NSID)
                .and_then(|(_, value)| wire::i32_at(value));
            return Ok(id.filter(|id| *id >= 0));
        }
    }
    Ok(None)
}
