//! Network namespaces, as `ip netns` makes them: with a name below /run/netns, by which the agent knows them.

use std::{
    fs::{self, File},
    os::fd::AsFd as _,
    thread,
};

use anyhow::{Context as _, Result, anyhow};
use rustix::{
    mount::mount_bind,
    thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe},
};

const FOLDER: &str = "/run/netns";
const OWN: &str = "/proc/thread-self/ns/net";

/// A network namespace.
pub struct Namespace {
    file: File,
}

impl Namespace {
    /// The one that we are in.
    pub fn here() -> Result<Self> {
        Ok(Self { file: File::open(OWN).context(OWN)? })
    }

    /// A new one with a name.
    pub fn new(name: &str) -> Result<Self> {
        fs::create_dir_all(FOLDER).context(FOLDER)?;
        let place = format!("{FOLDER}/{name}");
        File::create(&place).with_context(|| place.clone())?;
        on_a_thread(|| {
            unshare().context("a new network namespace")?;
            mount_bind(OWN, &place).with_context(|| format!("keeping {place}"))?;
            Self::here()
        })
    }

    /// Does something in it. Sockets that are made there stay there, whoever uses them afterwards.
    pub fn enter<T: Send>(&self, body: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        on_a_thread(|| {
            move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network))
                .context("entering a network namespace")?;
            body()
        })
    }

    /// For a netlink message that names it.
    pub fn file(&self) -> &File {
        &self.file
    }
}

#[expect(unsafe_code, reason = "rustix leaves it to the caller which namespaces are harmless")]
fn unshare() -> rustix::io::Result<()> {
    // SAFETY: only the network namespace of this thread changes, and no file descriptor with it.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }
}

/// A namespace belongs to a thread, so whoever changes it does so on one of its own.
fn on_a_thread<T: Send>(body: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| scope.spawn(body).join())
        .unwrap_or_else(|_| Err(anyhow!("a thread in a namespace panicked")))
}
