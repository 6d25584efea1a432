//! The kernel's objects: built twice, at two places, they are the same bytes. Whoever has the source can see that what he was
//! handed is made of it.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};

use crate::{
    command::{capture, command},
    report::say,
    workspace::root,
};

/// The build script's own, so that this builds as it does.
#[path = "../../../netwatch/build/kernel.rs"]
#[expect(
    dead_code,
    clippy::print_stdout,
    reason = "a build script asks cargo where it is, and tells it"
)]
mod kernel;

const OBJECT: &str = "netwatch-ebpf";

/// Builds it at two places, and compares.
pub(super) fn check() -> Result<()> {
    say("building the kernel's object twice, at two places");
    let folder = tempfile::tempdir().context("making a folder for two checkouts")?;
    let one = build(&folder.path().join("one"))?;
    let other = build(&folder.path().join("another/place/of/another/length"))?;
    compare(&one, &other)
}

/// From what git would commit, so that nothing that lies about takes part.
fn build(place: &Path) -> Result<Vec<u8>> {
    let source = place.join("source");
    fs::create_dir_all(&source).with_context(|| format!("making {}", source.display()))?;
    let prefix = format!("--prefix={}/", source.display());
    capture(command("git").args(["checkout-index", "--all", &prefix]).current_dir(root()))?;
    let out = place.join("out");
    kernel::Compiler::at(&source.join("netwatch-ebpf"), &out)?.build(OBJECT, "", OBJECT)?;
    fs::read(out.join(OBJECT)).context("reading the object")
}

fn compare(one: &[u8], other: &[u8]) -> Result<()> {
    if one.is_empty() {
        bail!("the kernel's object is empty");
    }
    if one == other {
        return Ok(());
    }
    let at = one.iter().zip(other).position(|(one, other)| one != other);
    bail!(
        "the kernel's objects of two builds differ: {} and {} bytes, first at {}",
        one.len(),
        other.len(),
        at.unwrap_or(one.len().min(other.len()))
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_is_a_difference() {
        assert!(compare(b"abc", b"abc").is_ok());
        assert!(compare(b"", b"").is_err());
        assert!(compare(b"abc", b"abd").unwrap_err().to_string().contains("first at 2"));
        assert!(compare(b"abc", b"abcd").unwrap_err().to_string().contains("first at 3"));
    }
}
