//! The lab's bridge, namespaces and veth pairs: made, or removed, or both in that order when making fails halfway.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use super::{BRIDGE, NODES, Node, ipv4, ipv6, mac, marker, passage};
use crate::{
    cleanup::{self, OnDrop},
    command::step,
    refused::Refused,
    report::say,
};

/// The lab's number for the bridge itself.
const GATEWAY: u8 = 1;

/// Makes the lab, after removing what is left of an earlier one. Returns what was removed.
pub(crate) fn up() -> Result<Vec<String>> {
    refuse_others()?;
    let removed = down()?;
    if !removed.is_empty() {
        say(format_args!("removed an earlier lab: {}", removed.join(", ")));
    }
    let undo = OnDrop::new(down_or_say);
    bridge().with_context(|| format!("making the bridge {BRIDGE}"))?;
    for node in &NODES {
        attach(node).with_context(|| format!("making the namespace {}", node.name))?;
    }
    passage::open().context("letting the lab's packets through the host's firewall")?;
    undo.disarm();
    Ok(removed)
}

/// Removes whatever of the lab is there, and says what it was. Goes on past a thing that cannot be removed.
pub(crate) fn down() -> Result<Vec<String>> {
    let mut removed = Vec::new();
    let mut failed = Ok(());
    let mut remove = |what: String, name: &str, exists: bool, ip: &[&str]| {
        if marker::is_set(name) {
            match if exists { step("ip", ip) } else { Ok(String::new()) } {
                Ok(_) if exists => removed.push(what),
                Ok(_) => {}
                Err(error) => {
                    failed = Err(error.context(format!("removing {what}")));
                    return;
                }
            }
            marker::clear(name);
        }
    };
    let traffic = marker::stop_traffic();
    for node in &NODES {
        let port = node.port();
        // Removing one end of a pair removes the other; a namespace with a process in it would keep its end alive.
        remove(format!("veth {port}"), &port, link_exists(&port), &["link", "del", &port]);
        remove(
            format!("namespace {}", node.name),
            node.name,
            namespace_exists(node.name),
            &["netns", "del", node.name],
        );
    }
    remove(format!("bridge {BRIDGE}"), BRIDGE, link_exists(BRIDGE), &["link", "del", BRIDGE]);
    let passage = passage::close();
    failed?;
    if passage.context("removing the lab's rule from the host's firewall")? {
        removed.push("firewall rule".into());
    }
    if traffic {
        removed.insert(0, "traffic".into());
    }
    Ok(removed)
}

/// For a guard, which cannot hand on an error.
pub(crate) fn down_or_say() {
    if let Err(error) = down() {
        say(format_args!(
            "could not remove the whole lab, `cargo xtask lab down` tries again: {error:#}"
        ));
    }
}

/// Whether the lab stands.
pub(super) fn is_up() -> bool {
    link_exists(BRIDGE)
        && NODES.iter().all(|node| marker::is_set(node.name) && namespace_exists(node.name))
}

/// Somebody else's namespace or interface of one of our names is not to be touched.
fn refuse_others() -> Result<()> {
    let foreign = |what: &str, name: &str, remove: &str| {
        let why = format!("there is already a {what} `{name}`, and the lab did not make it");
        Err(Refused::new(why, format!("remove it with `{remove} {name}` if nothing needs it"))
            .into())
    };
    for node in &NODES {
        if namespace_exists(node.name) && !marker::is_set(node.name) {
            return foreign("namespace", node.name, "ip netns del");
        }
        if link_exists(&node.port()) && !marker::is_set(&node.port()) {
            return foreign("network interface", &node.port(), "ip link del");
        }
    }
    if link_exists(BRIDGE) && !marker::is_set(BRIDGE) {
        return foreign("network interface", BRIDGE, "ip link del");
    }
    Ok(())
}

fn bridge() -> Result<()> {
    marker::set(BRIDGE)?;
    ip(&["link", "add", BRIDGE, "address", &mac(GATEWAY), "type", "bridge"])?;
    ip(&["addr", "add", &format!("{}/24", ipv4(GATEWAY)), "dev", BRIDGE])?;
    if has_ipv6() {
        ip(&["addr", "add", &format!("{}/64", ipv6(GATEWAY)), "dev", BRIDGE, "nodad"])?;
    }
    ip(&["link", "set", BRIDGE, "up"])
}

fn attach(node: &Node) -> Result<()> {
    let (name, port) = (node.name, node.port());
    marker::set(name)?;
    ip(&["netns", "add", name])?;
    marker::set(&port)?;
    let inside = ["peer", "name", "eth0", "netns", name, "address", &mac(node.number)];
    ip(&[&["link", "add", &port, "type", "veth"], &inside[..]].concat())?;
    ip(&["link", "set", &port, "master", BRIDGE, "up"])?;
    ip(&["-n", name, "link", "set", "lo", "up"])?;
    ip(&["-n", name, "addr", "add", &format!("{}/24", node.ipv4()), "dev", "eth0"])?;
    if has_ipv6() {
        ip(&["-n", name, "addr", "add", &format!("{}/64", node.ipv6()), "dev", "eth0", "nodad"])?;
    }
    ip(&["-n", name, "link", "set", "eth0", "up"])?;
    ip(&["-n", name, "route", "add", "default", "via", &ipv4(GATEWAY)])
}

/// One step; between two of them is the place to notice Ctrl-C.
fn ip(args: &[&str]) -> Result<()> {
    cleanup::check()?;
    step("ip", args).map(drop)
}

/// Not so on kernels started with `ipv6.disable=1`, where the lab does without.
pub(super) fn has_ipv6() -> bool {
    fs::read_to_string("/proc/sys/net/ipv6/conf/default/disable_ipv6")
        .is_ok_and(|text| text.trim() == "0")
}

fn namespace_exists(name: &str) -> bool {
    Path::new("/run/netns").join(name).exists()
}

fn link_exists(name: &str) -> bool {
    Path::new("/sys/class/net").join(name).exists()
}
