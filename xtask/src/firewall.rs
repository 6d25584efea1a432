//! What an engine leaves on the host after it stops: `docker0`, iptables chains, a FORWARD policy of DROP, ip_forward.
//!
//! [`Traces`] remembers how things were, and when dropped takes back exactly what Docker added since, rule by rule: rules
//! of others stay, also those that came in between.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use crate::{
    command::{find, step, step_with_input},
    report::say,
};

const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";
const BRIDGE: &str = "/sys/class/net/docker0";
const FAMILIES: [&str; 2] = ["iptables", "ip6tables"];

/// The host before the engine started.
pub(crate) struct Traces {
    rules: [Option<String>; 2],
    /// Whether there was a docker0.
    bridge: bool,
    forwarding: String,
}

impl Traces {
    pub(crate) fn remember() -> Result<Self> {
        Ok(Self {
            rules: FAMILIES.map(saved),
            bridge: Path::new(BRIDGE).exists(),
            forwarding: fs::read_to_string(FORWARDING)
                .with_context(|| format!("reading {FORWARDING}"))?,
        })
    }

    /// Goes on past what fails: the rest is still worth taking back. Returns what failed.
    fn take_back(&self) -> Vec<anyhow::Error> {
        let mut failed = Vec::new();
        for (family, before) in FAMILIES.into_iter().zip(&self.rules) {
            if let (Some(before), Some(after)) = (before, saved(family)) {
                failed.extend(restore(family, &undo(before, &after)).err());
            }
        }
        // Only this one: the engine removed its networks, and another engine may have made some meanwhile.
        if !self.bridge && Path::new(BRIDGE).exists() {
            failed.extend(step("ip", &["link", "del", "docker0"]).err());
        }
        let forwarding = fs::write(FORWARDING, &self.forwarding)
            .with_context(|| format!("writing {FORWARDING}"));
        failed.extend(forwarding.err());
        failed
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        for error in self.take_back() {
            say(format_args!(
                "could not take back all that Docker changed on this host: {error:#}"
            ));
        }
    }
}

/// None where there is no such command, or no such protocol in the kernel: then Docker could add nothing either.
fn saved(family: &str) -> Option<String> {
    let save = find(&format!("{family}-save"))?;
    step(&save.to_string_lossy(), &[]).ok()
}

fn restore(family: &str, rules: &str) -> Result<()> {
    if rules.is_empty() {
        return Ok(());
    }
    let program = find(&format!("{family}-restore"))
        .with_context(|| format!("there is no {family}-restore"))?;
    step_with_input(&program, &["--noflush"], rules)
        .with_context(|| format!("it was given\n{rules}"))
}

/// The input for `iptables-restore --noflush` that takes Docker's additions back.
fn undo(before: &str, after: &str) -> String {
    let before = tables(before);
    let mut script = String::new();
    for (table, lines) in tables(after) {
        let known: Vec<_> =
            before.iter().filter(|(name, _)| *name == table).flat_map(|(_, lines)| lines).collect();
        let new = |line: &&&str| !known.iter().any(|old| policy(old) == policy(line));
        let new: Vec<_> = lines.iter().filter(new).copied().collect();
        let chains: Vec<_> = new
            .iter()
            .filter_map(|line| line.strip_prefix(':'))
            .filter_map(|line| line.split_once(' '))
            .collect();
        let mut steps = Vec::new();
        for (chain, rest) in &chains {
            // A built-in chain has a policy, and is not removed but gets its old policy back.
            if !rest.starts_with('-') {
                let prefix = format!(":{chain} ");
                let old = known
                    .iter()
                    .find_map(|line| line.strip_prefix(&prefix))
                    .and_then(|rest| rest.split(' ').next());
                steps.push(format!("-P {chain} {}", old.unwrap_or("ACCEPT")));
            }
        }
        let rules =
            new.iter().filter_map(|line| line.strip_prefix("-A ")).filter(|rule| is_docker(rule));
        steps.extend(rules.map(|rule| format!("-D {rule}")));
        let own: Vec<_> = chains
            .iter()
            .filter(|(chain, rest)| rest.starts_with('-') && is_docker(chain))
            .collect();
        steps.extend(own.iter().map(|(chain, _)| format!("-F {chain}")));
        steps.extend(own.iter().map(|(chain, _)| format!("-X {chain}")));
        if !steps.is_empty() {
            script.extend(["*", table, "\n", &steps.join("\n"), "\nCOMMIT\n"]);
        }
    }
    script
}

/// The rules of `iptables-save` by table.
fn tables(saved: &str) -> Vec<(&str, Vec<&str>)> {
    let mut tables: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in saved.lines() {
        if let Some(table) = line.strip_prefix('*') {
            tables.push((table, Vec::new()));
        } else if line.starts_with([':', '-'])
            && let Some((_, lines)) = tables.last_mut()
        {
            lines.push(line);
        }
    }
    tables
}

/// A line without the packet counters that stand behind a chain's policy.
fn policy(line: &str) -> &str {
    if line.starts_with(':') { line.split(" [").next().unwrap_or(line) } else { line }
}

fn is_docker(rule: &str) -> bool {
    rule.contains("DOCKER") || rule.split(' ').any(is_bridge)
}

/// `docker0` and the bridges of user-defined networks, `br-` and twelve hexadecimal digits.
fn is_bridge(name: &str) -> bool {
    let id = |id: &str| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    name == "docker0" || name.strip_prefix("br-").is_some_and(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: &str = "\
# Generated
*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
COMMIT
*filter
:INPUT ACCEPT [9:9]
:FORWARD DROP [7:8]
:DOCKER-USER - [0:0]
-A INPUT -p tcp -j ACCEPT
-A FORWARD -j DOCKER-USER
-A FORWARD -i br-netwatch-lab -j ACCEPT
-A FORWARD -i br-0123456789ab -j ACCEPT
-A DOCKER-USER -j RETURN
COMMIT
";

    #[test]
    fn only_what_docker_added_is_taken_back() {
        let before = "*filter\n:INPUT ACCEPT [1:2]\n:FORWARD ACCEPT [0:0]\n-A INPUT -p tcp -j ACCEPT\nCOMMIT\n";
        assert_eq!(
            undo(before, AFTER),
            "\
*nat
-P PREROUTING ACCEPT
-D PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-D POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-D DOCKER -i docker0 -j RETURN
-F DOCKER
-X DOCKER
COMMIT
*filter
-P FORWARD ACCEPT
-D FORWARD -j DOCKER-USER
-D FORWARD -i br-0123456789ab -j ACCEPT
-D DOCKER-USER -j RETURN
-F DOCKER-USER
-X DOCKER-USER
COMMIT
"
        );
    }

    #[test]
    fn nothing_changed_means_nothing_to_do() {
        assert_eq!(undo(AFTER, AFTER), "");
    }
}
