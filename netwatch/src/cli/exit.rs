//! The exit codes. Documented in docs/exit-codes.md, which a test compares with this file.

use std::process::ExitCode;

/// How netwatch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything was done.
    Done,
    /// Something failed that should have worked.
    Failed,
    /// An argument, a variable or a line of the configuration file is wrong.
    Usage,
    /// Not permitted, or not supported on this host.
    NotPermitted,
    /// Some of it was done, or can be.
    Partly,
}

impl Exit {
    /// Every exit, in the order of the codes.
    pub const ALL: [Self; 5] =
        [Self::Done, Self::Failed, Self::Usage, Self::NotPermitted, Self::Partly];

    /// The number that the shell sees.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotPermitted => 3,
            Self::Partly => 4,
        }
    }

    /// The name in the documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::NotPermitted => "not permitted or not supported",
            Self::Partly => "partly",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
