//! Debian's archive: where it is, and what is fetched from it without being installed.

pub(crate) mod apt;
pub(crate) mod mirror;
