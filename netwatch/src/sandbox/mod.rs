//! What the agent gives up before it begins: rights, files, and system calls that it does not need.
//!
//! Promises: what is given up is given up for every thread to come, and cannot be got back; what this kernel has no means
//! for is a [`Feature`] with the reason, and never an error. Has to be called while there is one thread only, since the kernel
//! keeps rights and files by thread.

mod calls;
mod capabilities;
mod files;
#[cfg(test)]
mod tests;

use std::{fmt, path::PathBuf};

pub use capabilities::Capability;
pub use files::of_every_host;

use crate::model::Feature;

/// How much to give up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Strictness {
    /// All that is not needed; a system call that nobody foresaw fails.
    #[default]
    On,
    /// The same, but such a call ends the process: for tests.
    Strict,
    /// Nothing.
    Off,
}

/// What is kept.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Capabilities, of those that there are.
    pub capabilities: Vec<Capability>,
    /// Files, and folders with all in them, that are read.
    pub read: Vec<PathBuf>,
    /// Folders with all in them, and files, that are written too.
    pub write: Vec<PathBuf>,
    /// TCP ports that are listened at.
    pub listen: Vec<u16>,
    /// TCP ports that are connected to.
    pub connect: Vec<u16>,
}

/// What is in force now.
#[derive(Clone, Debug, Default)]
pub struct Confinement {
    /// The capabilities that are left, or why that is not known.
    pub capabilities: String,
    /// The kernel's means, and why one is not there.
    pub features: Vec<Feature>,
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.capabilities.is_empty() { "none" } else { &self.capabilities })?;
        for feature in &self.features {
            match &feature.lacking {
                None => write!(f, "; {}", feature.name)?,
                Some(why) => write!(f, "; no {} ({why})", feature.name)?,
            }
        }
        Ok(())
    }
}

/// The word in metrics and messages for files and ports.
pub const LANDLOCK: &str = "landlock";
/// And that for system calls.
pub const SECCOMP: &str = "seccomp";

/// What this kernel has, without giving up anything.
pub fn means() -> Vec<Feature> {
    vec![
        Feature { name: LANDLOCK, lacking: files::is_there().err() },
        Feature { name: SECCOMP, lacking: calls::is_there().err() },
    ]
}

/// Gives up everything else.
pub fn enter(needs: &Needs, strictness: Strictness) -> Confinement {
    if strictness == Strictness::Off {
        let off = "--sandbox off";
        return Confinement {
            capabilities: capabilities::left(),
            features: vec![Feature::lacking(LANDLOCK, off), Feature::lacking(SECCOMP, off)],
        };
    }
    capabilities::keep(&needs.capabilities);
    // In this order: the last one forbids the calls that the others take.
    let files = files::restrict(needs);
    let calls = calls::restrict(strictness == Strictness::Strict);
    Confinement {
        capabilities: capabilities::left(),
        features: vec![
            Feature { name: LANDLOCK, lacking: files.err() },
            Feature { name: SECCOMP, lacking: calls.err() },
        ],
    }
}
