//! The package in a fresh Debian: installed, upgraded with a changed configuration, removed, purged.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context as _, Result, ensure};

use super::super::{Release, package::deb, tree::Tree};
use crate::{
    cleanup,
    command::{capture, find},
    debian::mirror::Mirror,
    refused::Refused,
    report::say,
    root::Root,
};

/// The release that is tried; any would do.
const SUITE: &str = "bookworm";
const CONFIGURATION: &str = "/etc/netwatch/netwatch.toml";
/// What dpkg and the account tools keep of every package that was ever there: lists, logs, back-ups.
const NOT_OURS: [&str; 7] = [
    "/var/lib/dpkg/",
    "/var/log/dpkg.log",
    "/var/cache/",
    "/etc/passwd-",
    "/etc/group-",
    "/etc/shadow-",
    "/etc/gshadow-",
];

/// A root of its own.
struct Chroot {
    root: Root,
    folder: tempfile::TempDir,
}

/// Goes through the life of the package.
pub(super) fn check(root: Root, release: &Release, tree: &Tree) -> Result<()> {
    let chroot = Chroot::make(root)?;
    let before = chroot.files()?;
    let accounts = chroot.run("getent passwd; getent group")?;

    say("installing the package");
    chroot.install(release, tree, &release.version)?;
    let version = chroot.run("netwatch --version")?;
    ensure!(version.contains(&release.version), "its version is {version}");
    chroot.run(&format!("netwatch run --config {CONFIGURATION} --check"))?;
    ensure!(
        chroot.run("stat -c '%U:%G %a' /etc/netwatch")?.trim() == "root:netwatch 750",
        "the folder of the configuration is not the agent's alone"
    );
    ensure!(chroot.run("id -un netwatch")?.trim() == "netwatch", "the user was not made");
    chroot.run("test -L /etc/systemd/system/multi-user.target.wants/netwatch.service")?;
    chroot.run("zcat /usr/share/man/man1/netwatch-run.1.gz | grep -q 'idle.*timeout'")?;
    for file in &tree.files {
        chroot.run(&format!("test -s '/{}'", file.path))?;
    }

    say("upgrading it");
    chroot.run(&format!("echo '# mine' >> {CONFIGURATION}; mkdir -p /var/log/netwatch /var/lib/netwatch; echo x > /var/log/netwatch/flows.log"))?;
    chroot.run("rm /etc/systemd/system/multi-user.target.wants/netwatch.service")?;
    chroot.install(release, tree, &format!("{}+next", release.version))?;
    chroot.run(&format!("grep -q '# mine' {CONFIGURATION}"))?;
    chroot
        .run("test ! -e /etc/systemd/system/multi-user.target.wants/netwatch.service")
        .context("an upgrade has enabled what was disabled")?;
    chroot.run("test -e /var/log/netwatch/flows.log")?;

    say("removing it");
    chroot.run("dpkg --remove netwatch")?;
    chroot.run(&format!("test -e {CONFIGURATION} && test -e /var/log/netwatch/flows.log && test ! -e /usr/bin/netwatch"))?;

    say("purging it");
    chroot.run("dpkg --purge netwatch")?;
    let left: Vec<String> = chroot.files()?.difference(&before).cloned().collect();
    ensure!(left.is_empty(), "left behind: {}", left.join(", "));
    let lost: Vec<String> = before.difference(&chroot.files()?).cloned().collect();
    ensure!(lost.is_empty(), "taken away: {}", lost.join(", "));
    ensure!(chroot.run("getent passwd; getent group")? == accounts, "accounts were left behind");
    Ok(())
}

impl Chroot {
    fn make(root: Root) -> Result<Self> {
        let program = find("debootstrap").ok_or_else(|| {
            Refused::new("debootstrap is not here", "cargo xtask setup --for dist")
        })?;
        let folder = tempfile::Builder::new().prefix("netwatch-root-").tempdir()?;
        let chroot = Self { root, folder };
        let place = chroot.place();
        say(format_args!("making a fresh Debian {SUITE} at {place}"));
        cleanup::check()?;
        let mirror = Mirror::find(None, "check the package on a Debian")?.main;
        let mut command = root.command(&program.to_string_lossy());
        capture(command.args(["--variant=minbase", SUITE, &place, &mirror]))?;
        Ok(chroot)
    }

    fn place(&self) -> String {
        self.folder.path().display().to_string()
    }

    fn install(&self, release: &Release, tree: &Tree, version: &str) -> Result<()> {
        let made = tempfile::tempdir().context("making a folder for a package")?;
        let release = Release {
            version: version.into(),
            architecture: release.architecture,
            time: release.time,
            folder: made.path().into(),
        };
        let package = deb(&release, tree)?;
        let inside = self.folder.path().join("tmp/netwatch.deb");
        let (from, to) = (package.display().to_string(), inside.display().to_string());
        capture(self.root.command("cp").args([&from, &to]))?;
        // As apt would: what it depends on has to be in the smallest Debian.
        self.run("dpkg --install /tmp/netwatch.deb && rm /tmp/netwatch.deb").map(drop)
    }

    /// Runs a script inside.
    fn run(&self, script: &str) -> Result<String> {
        let mut command = self.root.command("chroot");
        let path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
        let quiet = "DEBIAN_FRONTEND=noninteractive";
        command.args([&self.place(), "/usr/bin/env", "-i", path, quiet, "sh", "-ec", script]);
        capture(&mut command)
    }

    /// Every path inside, without what dpkg keeps for itself.
    fn files(&self) -> Result<BTreeSet<String>> {
        let place = self.place();
        let mut command = self.root.command("find");
        let text = capture(command.args([&place, "-xdev", "-printf", "/%P\n"]))?;
        let is_ours = |path: &&str| !NOT_OURS.iter().any(|other| path.starts_with(other));
        Ok(text.lines().filter(is_ours).map(str::to_owned).collect())
    }
}

impl Drop for Chroot {
    fn drop(&mut self) {
        // Its files are root's; what is left of the folder goes with it.
        let place = self.place();
        if Path::new(&place).join("usr").exists()
            && let Err(error) = capture(self.root.command("find").args([
                &place,
                "-xdev",
                "-mindepth",
                "1",
                "-delete",
            ]))
        {
            say(format_args!("could not remove {place}: {error:#}"));
        }
    }
}
