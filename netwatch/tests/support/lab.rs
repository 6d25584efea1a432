//! A bridge with two namespaces on it, in a namespace of its own: no other traffic, no firewall, no Docker.

use std::{
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
};

use super::{
    shell::{attempt, run},
    wait::until,
};

/// The bridge's name begins as Docker's do, so that it is observed without being asked for.
pub const BRIDGE: &str = "br-lab";
const LIFETIME: &str = "600";

/// Use it on a thread of [`super::netns::in_new_namespace`]: everything goes with that.
pub struct Lab;

impl Lab {
    /// The bridge, down.
    pub fn build() -> Self {
        run("ip", &["link", "set", "lo", "up"]);
        run("ip", &["link", "add", BRIDGE, "type", "bridge"]);
        Self
    }

    /// Brings up the bridge with an address.
    pub fn open(&self, address: &str) {
        run("ip", &["address", "add", address, "dev", BRIDGE]);
        run("ip", &["link", "set", BRIDGE, "up"]);
    }
}

/// A namespace at the other end of a veth. Both ends are down until [`Guest::open`].
pub struct Guest {
    holder: Child,
    pub veth: String,
}

impl Guest {
    pub fn join(veth: &str) -> Self {
        let mut command = Command::new("unshare");
        command.args(["--net", "sleep", LIFETIME]).stdin(Stdio::null()).process_group(0);
        let guest = Self { holder: command.spawn().expect("unshare runs"), veth: veth.into() };
        let pid = guest.pid();
        let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        let own = namespace("thread-self");
        until("a namespace", || namespace(&pid).filter(|it| Some(it) != own.as_ref()));
        run("ip", &["link", "add", veth, "type", "veth", "peer", "name", "eth0", "netns", &pid]);
        run("ip", &["link", "set", veth, "master", BRIDGE]);
        guest
    }

    /// Brings up both ends, with an address inside.
    pub fn open(&self, address: &str) {
        self.run(&["ip", "link", "set", "lo", "up"]);
        self.run(&["ip", "address", "add", address, "dev", "eth0"]);
        self.run(&["ip", "link", "set", "eth0", "up"]);
        run("ip", &["link", "set", &self.veth, "up"]);
    }

    /// Runs a command inside.
    pub fn run(&self, command: &[&str]) -> String {
        run("nsenter", &[&["--net", "--target", &self.pid()], command].concat())
    }

    /// The same, where it may fail.
    pub fn attempt(&self, command: &[&str]) -> Result<String, String> {
        attempt("nsenter", &[&["--net", "--target", &self.pid()], command].concat())
    }

    fn pid(&self) -> String {
        self.holder.id().to_string()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
