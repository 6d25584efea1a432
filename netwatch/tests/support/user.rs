//! Whose the tests' programs are: nobody's, with three capabilities and no way to more, as the unit of systemd has it. A test
//! whose program has to be root's says why, with one of the reasons below.
//!
//! `NETWATCH_TEST_ROOT`: all are root's, as of who starts netwatch by hand.

use std::{
    env,
    fs::{self, File},
    io,
    os::{
        fd::AsRawFd as _,
        unix::{fs::MetadataExt as _, net::UnixListener, process::CommandExt as _},
    },
    path::Path,
    process::Command,
};

use rustix::{
    process::{Gid, Uid},
    thread::{
        CapabilitySet, CapabilitySets, configure_capability_in_ambient_set,
        remove_capability_from_bounding_set, set_capabilities, set_keep_capabilities,
        set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
    },
};
use tempfile::TempDir;

use super::docker;

const ROOT: &str = "NETWATCH_TEST_ROOT";
/// Nobody's number, and that of nobody's group.
pub const NOBODY: u32 = 65_534;
/// What the unit gives.
const THREE: CapabilitySet =
    CapabilitySet::BPF.union(CapabilitySet::NET_ADMIN).union(CapabilitySet::PERFMON);

/// Why a program of a test is root's.
#[derive(Clone, Copy, Debug)]
pub enum Root {}

fn all_are_roots() -> bool {
    env::var_os(ROOT).is_some()
}

/// Whose the programs of the tests are.
pub fn user() -> u32 {
    if all_are_roots() { 0 } else { NOBODY }
}

/// Gives a file or a folder to that user.
pub fn give(path: &Path) {
    std::os::unix::fs::chown(path, Some(user()), Some(user())).expect("a path of ours");
}

/// An engine's socket, which that user may ask.
pub fn listen(path: &Path) -> UnixListener {
    let listener = UnixListener::bind(path).expect("a socket");
    give(path);
    listener
}

/// A folder of that user's.
pub fn folder() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    give(folder.path());
    folder
}

/// A command that has that user's rights on files, and no capability: for what only the owner may do.
pub fn by_user(program: &str) -> Command {
    let mut command = Command::new(program);
    command.uid(user()).gid(user());
    command
}

/// A program of that user's.
pub fn program(path: &str) -> Command {
    if all_are_roots() { Command::new(path) } else { unprivileged(path) }
}

/// A program of nobody's with the three capabilities.
pub fn unprivileged(path: &str) -> Command {
    of_nobody(path, THREE)
}

/// A program of nobody's without any.
pub fn powerless(path: &str) -> Command {
    of_nobody(path, CapabilitySet::empty())
}

/// The program is reached through a descriptor, since the way to it may be through somebody's home.
#[expect(unsafe_code, reason = "std gives no capabilities to whom it starts")]
fn of_nobody(path: &str, left: CapabilitySet) -> Command {
    let file = File::open(path).expect("a program");
    let mut command = Command::new(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let group = Gid::from_raw(engines_group());
    command.arg0(path);
    // SAFETY: between fork and exec it makes system calls, and neither allocates nor locks.
    unsafe {
        command.pre_exec(move || {
            let _open_until_it_runs = &file;
            become_nobody(group, left)
        });
    }
    command
}

/// The group that the engine's socket is for: the package puts the agent's user into it. Without an engine, nobody's own.
fn engines_group() -> u32 {
    fs::metadata(docker::socket()).map_or(NOBODY, |socket| socket.gid())
}

fn become_nobody(group: Gid, left: CapabilitySet) -> io::Result<()> {
    for number in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if !left.contains(one) {
            // One that this kernel does not know.
            let _ = remove_capability_from_bounding_set(one);
        }
    }
    set_keep_capabilities(true)?;
    set_thread_groups(&[group])?;
    let (gid, uid) = (Gid::from_raw(NOBODY), Uid::from_raw(NOBODY));
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    set_capabilities(None, CapabilitySets { effective: left, permitted: left, inheritable: left })?;
    for one in left.iter() {
        configure_capability_in_ambient_set(one, true)?;
    }
    set_no_new_privs(true)?;
    Ok(())
}
