//! The lab's way through the host's firewall. Docker leaves a FORWARD policy of DROP behind when it stops, and where the
//! kernel shows bridged packets to iptables (`br_netfilter`) that also holds for what one namespace sends to another.

use std::fs;

use anyhow::Result;

use super::BRIDGE;
use crate::command::{find, step};

const FAMILIES: [&str; 2] = ["iptables", "ip6tables"];
const RULE: [&str; 7] = ["FORWARD", "-i", BRIDGE, "-o", BRIDGE, "-j", "ACCEPT"];

/// Lets through what goes from the lab to the lab. Whoever calls this has to [`close`] it.
pub(super) fn open() -> Result<()> {
    for family in tables() {
        rule(family, "-I")?;
    }
    Ok(())
}

/// Takes that back; whether there was anything.
pub(super) fn close() -> Result<bool> {
    let mut was_open = false;
    for family in tables() {
        while rule(family, "-C").is_ok() {
            rule(family, "-D")?;
            was_open = true;
        }
    }
    Ok(was_open)
}

/// Those that see what crosses a bridge.
fn tables() -> impl Iterator<Item = &'static str> {
    FAMILIES.into_iter().filter(|family| {
        let setting = format!("/proc/sys/net/bridge/bridge-nf-call-{family}");
        let sees = fs::read_to_string(&setting).is_ok_and(|on| on.trim() != "0");
        sees && find(family).is_some()
    })
}

fn rule(family: &str, action: &str) -> Result<()> {
    step(family, &[&["-w", action], &RULE[..]].concat()).map(drop)
}
