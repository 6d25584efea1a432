//! Veth pairs of a test's own.

use std::{
    fs::{self, File},
    os::{fd::AsRawFd as _, unix::net::UnixDatagram},
};

use rustix::net::netdevice::name_to_index;

use super::{
    netns::{in_namespace, in_new_namespace, own},
    shell::run,
};

/// The end of a pair in this namespace, which leads into another.
pub struct Link {
    /// Index of `here`.
    pub here: u32,
    /// The namespace at the other end.
    pub other: File,
    /// Index of `there`, in it.
    pub there: u32,
}

/// A pair with both ends in this namespace, up and silent. The first is ready to send, whatever else is going on: the kernel
/// activates the end that comes up last at once, the other one when it finds the time (net/core/link_watch.c).
pub fn pair(names: [&str; 2], mtu: u32) -> [u32; 2] {
    be_silent();
    make(names, mtu);
    up(names[1]);
    up(names[0]);
    names.map(index)
}

/// A pair from `here`, which is 10.0.0.1, to `there` in a namespace of its own, which is 10.0.0.2.
pub fn to_another_namespace(mtu: u32) -> Link {
    be_silent();
    make(["here", "there"], mtu);
    let other = in_new_namespace(own);
    let path = format!("/proc/{}/fd/{}", std::process::id(), other.as_raw_fd());
    run("ip", &["link", "set", "there", "netns", &path]);
    run("ip", &["address", "add", "10.0.0.1/24", "dev", "here"]);
    let there = in_namespace(&other, || {
        be_silent();
        run("ip", &["address", "add", "10.0.0.2/24", "dev", "there"]);
        up("there");
        index("there")
    });
    up("here");
    Link { here: index("here"), other, there }
}

/// No IPv6 of the kernel's in this namespace, which would ask for routers.
pub fn be_silent() {
    for of in ["all", "default"] {
        fs::write(format!("/proc/sys/net/ipv6/conf/{of}/disable_ipv6"), "1").expect("a setting");
    }
}

fn make([one, other]: [&str; 2], mtu: u32) {
    let mtu = mtu.to_string();
    run(
        "ip",
        &["link", "add", one, "mtu", &mtu, "type", "veth", "peer", "name", other, "mtu", &mtu],
    );
}

fn up(name: &str) {
    run("ip", &["link", "set", name, "up"]);
}

/// Index of an interface of this namespace.
pub fn index(name: &str) -> u32 {
    find(name).unwrap_or_else(|| panic!("no interface {name}"))
}

/// The same, if it is there: without waiting for whoever makes interfaces just then, as `ip` would.
pub fn find(name: &str) -> Option<u32> {
    let socket = UnixDatagram::unbound().expect("a socket");
    name_to_index(socket, name).ok()
}
