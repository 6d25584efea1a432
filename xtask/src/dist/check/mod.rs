//! Looks at what was made as those will who are handed it.

mod arm64;
mod crates;
mod debian;
mod engine;

use anyhow::Result;

use super::{Release, objects, tree::Tree};
use crate::root::Root;

/// Everything, each in turn.
pub(super) fn check(release: &Release, tree: &Tree, install: bool) -> Result<()> {
    crates::check(install)?;
    let root = Root::find("installing the package in a root of its own")?;
    engine::check(root, release)?;
    objects::check()?;
    debian::check(root, release, tree)?;
    arm64::check(install)
}
