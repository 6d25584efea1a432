//! Files and ports, by Landlock (Linux 5.13; ports from 6.7 on, signals and abstract sockets from 6.12 on).
//!
//! What the kernel is too old to forbid stays allowed; what it can forbid is. Sockets in the file system are not under it:
//! who may connect to the engine's is decided by the rights of its file.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, NetPort,
    PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _,
    RulesetError, RulesetStatus, Scope,
};

use super::Needs;

/// The newest that is known here. An older kernel does what it can.
const NEWEST: ABI = ABI::V6;

const LACKING: &str = "the kernel has no Landlock, or it is not turned on";

/// Leaves what is needed. The reason where nothing at all can be forbidden.
pub(super) fn restrict(needs: &Needs) -> Result<(), String> {
    let status = rules(needs).and_then(RulesetCreated::restrict_self);
    match status {
        Ok(status) if status.ruleset == RulesetStatus::NotEnforced => Err(LACKING.to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether there is anything of it.
pub(super) fn is_there() -> Result<(), String> {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))
        .and_then(Ruleset::create)
        .map(drop)
        .map_err(|_| LACKING.to_owned())
}

fn rules(needs: &Needs) -> Result<RulesetCreated, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    // Not to run it, whatever it is, and no devices.
    let write = AccessFs::from_all(NEWEST)
        & !(AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev);
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    for (paths, access) in [(&needs.read, read), (&needs.write, write)] {
        for path in paths {
            rules = below(rules, path, access)?;
        }
    }
    for port in &needs.listen {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::BindTcp))?;
    }
    for port in &needs.connect {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    Ok(rules)
}

/// What is not there needs no rule.
fn below(
    rules: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let Ok(file) = PathFd::new(path) else { return Ok(rules) };
    // A rule for a file may not speak of folders.
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(NEWEST) };
    rules.add_rule(PathBeneath::new(file, access))
}

/// What an agent reads of any host, whatever its configuration.
pub fn of_every_host() -> Vec<PathBuf> {
    [
        "/proc",
        "/sys",
        // The local time, and the names behind it.
        "/etc/localtime",
        "/usr/share/zoneinfo",
        // Where an engine is that is named by host and not by address.
        "/etc/hosts",
        "/etc/resolv.conf",
        "/etc/nsswitch.conf",
        "/etc/host.conf",
        "/lib",
        "/lib64",
        "/usr/lib",
        "/dev/null",
        "/dev/urandom",
    ]
    .map(PathBuf::from)
    .into()
}
