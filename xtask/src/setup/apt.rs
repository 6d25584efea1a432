//! Debian's and Ubuntu's packages.

use std::{
    fs,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};

use super::announced;
use crate::{
    command::{capture, command, find, line},
    root::Root,
};

/// apt-get, where there is one and we may use it.
pub(super) struct Apt {
    debian: bool,
    root: Option<Root>,
    updated: bool,
    installed: Vec<String>,
}

impl Apt {
    pub(super) fn find() -> Self {
        let debian = fs::read_to_string("/etc/os-release").is_ok_and(|text| is_debian(&text))
            && find("apt-get").is_some();
        Self {
            debian,
            root: Root::find("installing packages").ok(),
            updated: false,
            installed: Vec::new(),
        }
    }

    /// Whether commands with apt-get make sense here at all.
    pub(super) fn is_debian(&self) -> bool {
        self.debian
    }

    pub(super) fn is_usable(&self) -> bool {
        self.debian && self.root.is_some()
    }

    pub(super) fn has_installed(&self, package: &str) -> bool {
        self.installed.iter().any(|installed| installed == package)
    }

    /// Notes what was installed by other means than apt.
    pub(super) fn note(&mut self, thing: &str) {
        self.installed.push(thing.into());
    }

    /// The first of these packages that this release has.
    pub(super) fn first_there<'a>(&mut self, packages: &[&'a str]) -> Result<&'a str> {
        let [first, .., last] = packages else {
            return packages.first().copied().context("a tool without a package");
        };
        self.update()?;
        let known = |package: &&&str| capture(command("apt-cache").args(["show", package])).is_ok();
        Ok([first, last].into_iter().find(known).unwrap_or(last))
    }

    /// Installs packages, after saying so. Never removes one, but for the busybox that busybox-static replaces.
    pub(super) fn install(&mut self, packages: &[&str]) -> Result<()> {
        if packages.is_empty() {
            return Ok(());
        }
        self.update()?;
        let (replacing, others): (Vec<_>, Vec<_>) = packages
            .iter()
            .copied()
            .partition(|package| *package == "busybox-static" && version("busybox").is_some());
        for (packages, more, note) in [
            (others, Some("--no-remove"), ""),
            (replacing, None, ", which replaces the package busybox"),
        ] {
            if packages.is_empty() {
                continue;
            }
            let starts =
                packages.iter().any(|package| ["docker.io", "prometheus"].contains(package));
            let service = if starts { " (a host with systemd starts their services)" } else { "" };
            let what = format!("installing {}{note}{service}", packages.join(" "));
            announced(
                &what,
                self.apt_get("install")
                    .args(["--no-install-recommends"])
                    .args(more)
                    .args(&packages),
            )?;
            self.installed.extend(packages.into_iter().map(String::from));
        }
        Ok(())
    }

    fn update(&mut self) -> Result<()> {
        if !self.updated {
            announced(
                "something is missing, reading the package lists",
                &mut self.apt_get("update"),
            )?;
            self.updated = true;
        }
        Ok(())
    }

    fn apt_get(&self, what: &str) -> Command {
        // Through `env`, because sudo may not pass variables on. RUNLEVEL=1 keeps services from starting without systemd.
        let mut command = self.root.unwrap_or(Root::Here).command("env");
        command.args(["DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get", "-qq", "--yes"]);
        // Fresh machines upgrade themselves in their first minutes, and hold the lock.
        command.args(["-o", "DPkg::Lock::Timeout=300", what]);
        command
    }

    /// What one would type.
    pub(super) fn line(&self, packages: &[&str]) -> String {
        let mut command = self.root.unwrap_or(Root::Sudo).command("apt-get");
        line(command.args(["install", "--no-install-recommends"]).args(packages))
            .replace("sudo -E", "sudo")
    }
}

/// The version of an installed package.
pub(super) fn version(package: &str) -> Option<String> {
    let mut query = command("dpkg-query");
    query.args(["-W", "-f=${db:Status-Status} ${Version}", package]).stderr(Stdio::null());
    capture(&mut query).ok()?.strip_prefix("installed ").map(String::from)
}

/// Whether /etc/os-release speaks of Debian or of something made from it.
fn is_debian(os_release: &str) -> bool {
    let value = |key: &str| {
        let line = os_release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches(['"', '\''])
    };
    let mut names = value("ID").split(' ').chain(value("ID_LIKE").split(' '));
    names.any(|name| ["debian", "ubuntu"].contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_and_its_children_are_known() {
        assert!(is_debian("PRETTY_NAME=\"Debian\"\nID=debian\nVERSION_ID=\"12\"\n"));
        assert!(is_debian("ID=ubuntu\nID_LIKE=debian\n"));
        assert!(is_debian("ID=pop\nID_LIKE=\"ubuntu debian\"\n"));
        assert!(is_debian("ID='debian'"));
        assert!(!is_debian("ID=fedora\nID_LIKE=\"rhel\"\nBUG_REPORT_URL=debian\n"));
        assert!(!is_debian("VERSION_ID=debian"));
        assert!(!is_debian(""));
    }

    #[test]
    fn the_command_is_one_that_can_be_typed() {
        let apt =
            Apt { debian: true, root: Some(Root::Sudo), updated: false, installed: Vec::new() };
        assert_eq!(apt.line(&["iperf3"]), "sudo apt-get install --no-install-recommends iperf3");
    }
}
