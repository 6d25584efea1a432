//! What can go wrong at the border, with the facts.

use thiserror::Error;

/// The programs could not be brought into the kernel.
#[derive(Debug, Error)]
pub enum DatapathError {
    /// A capability is missing.
    #[error("not permitted: {missing} missing")]
    NotPermitted {
        /// Which.
        missing: String,
    },
    /// The kernel has no BPF or no BTF.
    #[error("this kernel has no {what}")]
    Unsupported {
        /// What it lacks.
        what: &'static str,
    },
    /// Object and agent are of different versions.
    #[error("the eBPF object speaks ABI version {found}, this agent {expected}")]
    AbiMismatch {
        /// The object's.
        found: u32,
        /// Ours.
        expected: u32,
    },
    /// The object is not what it should be.
    #[error("the eBPF object has no {what}")]
    Incomplete {
        /// What is missing in it.
        what: String,
    },
    /// What an earlier agent has pinned cannot be taken away.
    #[error("{}: what an earlier netwatch left cannot be removed: {source}", path.display())]
    Pins {
        /// The directory.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What is pinned belongs to an agent that runs.
    #[error("an agent runs in this network namespace")]
    InUse,
    /// The kernel refused the object.
    #[error("the kernel refused the eBPF object: {0}")]
    Load(#[from] aya::EbpfError),
    /// The kernel refused a program.
    #[error("the kernel refused the program {program}: {source}")]
    Program {
        /// Its name.
        program: &'static str,
        /// Why.
        source: aya::programs::ProgramError,
    },
    /// A map could not be used.
    #[error("map {map}: {source}")]
    Map {
        /// Its name.
        map: &'static str,
        /// Why.
        source: aya::maps::MapError,
    },
    /// A map could not be mapped into memory.
    #[error("mapping {map} into memory: {source}")]
    Memory {
        /// Its name.
        map: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// Kernel-side messages could not be taken up.
    #[error("kernel-side messages: {0}")]
    Messages(#[from] aya_log::Error),
}

impl DatapathError {
    /// What it says of a kernel that does not describe its types.
    pub const NO_BTF: Self = Self::Unsupported { what: "BPF type format (BTF)" };

    /// These capabilities are missing.
    pub fn lacking(capabilities: &[&str]) -> Self {
        let verb = if capabilities.len() == 1 { "is" } else { "are" };
        Self::NotPermitted { missing: format!("{} {verb}", capabilities.join(", ")) }
    }

    /// What the user can do about it.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::NotPermitted { .. } => Some(
                "run netwatch as root, or give it CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON (Linux 5.8 and later)",
            ),
            Self::Unsupported { .. } => Some(
                "use a kernel of 5.10 or later with CONFIG_BPF_SYSCALL, CONFIG_NET_CLS_BPF and CONFIG_DEBUG_INFO_BTF",
            ),
            Self::AbiMismatch { .. } | Self::Incomplete { .. } => {
                Some("build netwatch again from a clean checkout")
            }
            Self::InUse => {
                Some("name its socket with --socket, or send it SIGTERM, which leaves nothing")
            }
            _ => None,
        }
    }

    /// Whether it cannot work on this host, as opposed to having failed this time.
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::NotPermitted { .. } | Self::Unsupported { .. })
    }
}

/// An interface could not be attached to. The others go on.
#[derive(Debug, Error)]
pub enum AttachError {
    /// The interface went away, or has another name by now; the kernel will tell.
    #[error("the interface is gone or was renamed")]
    Vanished,
    /// The interface cannot be looked up, which takes a file descriptor.
    #[error(
        "the interface cannot be looked up: {0}; if there are no file descriptors left, raise the limit (LimitNOFILE= of a systemd unit)"
    )]
    LookUp(std::io::Error),
    /// The interface table has no place for it.
    #[error("the interface table is full for ifindex {0}: too many interfaces are observed")]
    NoSlot(u32),
    /// The kernel refused.
    #[error("{how}: {source}")]
    Refused {
        /// By which mechanism.
        how: &'static str,
        /// Why.
        source: aya::programs::ProgramError,
    },
    /// The clsact qdisc could not be added.
    #[error("adding the clsact qdisc: {0}")]
    Qdisc(String),
    /// A program is missing in the object.
    #[error("the eBPF object has no program {0}")]
    Incomplete(&'static str),
}
