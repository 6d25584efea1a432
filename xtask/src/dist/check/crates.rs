//! What deny.toml says of the crates: licences, sources, and those that are not wanted.

use anyhow::Result;

use crate::{command::stream, report::say, setup::subcommand::DENY, workspace::cargo};

/// Advisories are not among it: their database is fetched from elsewhere.
const WHAT: [&str; 3] = ["licenses", "bans", "sources"];

/// Checks with what Cargo.lock says, and changes nothing of it.
pub(super) fn check(install: bool) -> Result<()> {
    DENY.ensure(install)?;
    say("holding the crates against deny.toml");
    let how = ["deny", "--locked", "--log-level", "error", "check", "--hide-inclusion-graph"];
    stream(cargo(&how).args(WHAT))
}
