//! The programs that the build and the tests call, and the packages they come in.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use super::{Purpose, table::Row};
use crate::{
    command::{capture, command, find},
    docker::{Answer, Host, client},
};

/// One program.
pub(super) struct Tool {
    pub(super) thing: &'static str,
    /// The package, or where releases differ, the packages in order of preference.
    pub(super) packages: &'static [&'static str],
    pub(super) place: Option<PathBuf>,
}

const BUILD: [(&str, &[&str]); 2] = [("cc", &["build-essential"]), ("ip", &["iproute2"])];

/// From Debian 13 on the client is a package of its own, before it is in docker.io.
const TEST: [(&str, &[&str]); 10] = [
    ("dockerd", &["docker.io"]),
    ("docker", &["docker-cli", "docker.io"]),
    ("iptables", &["iptables"]),
    ("busybox", &["busybox-static"]),
    ("bpftool", &["bpftool"]),
    ("prometheus", &["prometheus"]),
    ("promtool", &["prometheus"]),
    ("systemd-socket-activate", &["systemd"]),
    ("iperf3", &["iperf3"]),
    ("tshark", &["tshark"]),
];

/// What `cargo xtask dist --check` calls.
const DIST: [(&str, &[&str]); 7] = [
    ("dockerd", &["docker.io"]),
    ("docker", &["docker-cli", "docker.io"]),
    ("iptables", &["iptables"]),
    ("busybox", &["busybox-static"]),
    ("debootstrap", &["debootstrap"]),
    ("aarch64-linux-gnu-gcc", &["gcc-aarch64-linux-gnu"]),
    (ARM_LIBRARY, &["libc6-dev-arm64-cross"]),
];

/// What the program for arm64 is linked with.
const ARM_LIBRARY: &str = "libc for arm64";

/// Looks for each program.
pub(super) fn look(purpose: Purpose) -> Vec<Tool> {
    let tests = match purpose {
        Purpose::Build => &[],
        Purpose::Test => &TEST[..],
        Purpose::Dist => &DIST[..],
    };
    BUILD
        .iter()
        .chain(tests)
        .map(|&(thing, packages)| Tool { thing, packages, place: place(thing) })
        .collect()
}

fn place(thing: &str) -> Option<PathBuf> {
    match thing {
        // It goes into an image by itself, without libraries.
        "busybox" => find(thing).filter(|file| is_static(file)),
        // Somebody's engine answers: whatever package it came from, docker.io would only get in its way.
        "dockerd" => find(thing).or_else(|| {
            let host = Host::configured();
            (host.ping() != Answer::No).then(|| host.0.into())
        }),
        "docker" => client(),
        ARM_LIBRARY => {
            let places = ["/usr/aarch64-linux-gnu/lib/libc.a", "/usr/lib/aarch64-linux-gnu/libc.a"];
            places.map(PathBuf::from).into_iter().find(|file| file.exists())
        }
        _ => find(thing),
    }
}

/// Rust's own tools. Whoever runs this has a cargo, but not always through rustup.
pub(super) fn rustup() -> Row {
    match find("rustup") {
        Some(place) => {
            let version = capture(command(&place).arg("--version")).unwrap_or_default();
            let version = version.split_whitespace().nth(1).unwrap_or_default().to_string();
            Row::found("rustup", version, &place)
        }
        None => Row::missing(
            "rustup",
            "install rustup as its site says; two Rust compilers are needed side by side".into(),
        ),
    }
}

/// Whether a 64-bit little-endian ELF file names no dynamic loader.
fn is_static(file: &Path) -> bool {
    let mut head = Vec::new();
    let read = File::open(file).and_then(|file| file.take(4096).read_to_end(&mut head));
    read.is_ok() && interpreter(&head) == Some(false)
}

fn interpreter(elf: &[u8]) -> Option<bool> {
    const PT_INTERP: u32 = 3;
    let half =
        |at: usize| Some(usize::from(u16::from_le_bytes(elf.get(at..at + 2)?.try_into().ok()?)));
    if !elf.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let table = usize::try_from(u64::from_le_bytes(elf.get(32..40)?.try_into().ok()?)).ok()?;
    let (size, count) = (half(54)?, half(56)?);
    for number in 0..count {
        let at = table.checked_add(number * size)?;
        if u32::from_le_bytes(elf.get(at..at.checked_add(4)?)?.try_into().ok()?) == PT_INTERP {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_is_seen_and_rubbish_survived() {
        let mut elf = vec![0; 64 + 56];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        elf[32] = 64;
        elf[54] = 56;
        elf[56] = 1;
        assert_eq!(interpreter(&elf), Some(false));
        elf[64] = 3;
        assert_eq!(interpreter(&elf), Some(true));
        assert!((0..64 + 4).all(|length| interpreter(&elf[..length]).is_none()), "truncated");
        elf[32..40].fill(0xff);
        assert_eq!(interpreter(&elf), None);
    }
}
