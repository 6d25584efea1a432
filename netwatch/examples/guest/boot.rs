//! What an init process does: mounts, modules, power.

use std::{fs, fs::File, thread, time::Duration};

use anyhow::{Context as _, Result};
use rustix::{
    io::Errno,
    mount::{MountFlags, mount},
    system::{RebootCommand, finit_module, reboot},
};

use crate::links;

/// Type and place. The kernel has mounted nothing for us but the initramfs.
const MOUNTS: [(&str, &str); 6] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("tmpfs", "/run"),
    ("tmpfs", "/tmp"),
    ("tracefs", "/sys/kernel/tracing"),
];

/// Where xtask puts the kernel's modules, named so that their order is that of their dependencies.
const MODULES: &str = "/modules";

/// Makes a machine of the bare kernel.
pub fn prepare() -> Result<()> {
    for (kind, place) in MOUNTS {
        // Those below /sys are there already, and it takes no new folders.
        let _ = fs::create_dir(place);
        mount(kind, place, kind, MountFlags::empty(), None)
            .with_context(|| format!("mounting {kind} on {place}"))?;
    }
    // What a witness may keep waiting (`witness.rs`).
    fs::write("/proc/sys/net/core/rmem_max", "16777216").context("net.core.rmem_max")?;
    load_modules()?;
    links::up(1).context("the loopback device")
}

fn load_modules() -> Result<()> {
    let mut files = fs::read_dir(MODULES)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>())
        .context("listing the modules")?;
    files.sort();
    for file in files {
        let module = File::open(&file).with_context(|| file.display().to_string())?;
        match finit_module(&module, c"", 0) {
            // Built in, or loaded by the kernel itself when it was asked for something.
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => {
                return Err(error).with_context(|| format!("loading {}", file.display()));
            }
        }
    }
    Ok(())
}

/// Turns the machine off. xtask ends one that stays on.
pub fn power_off() -> ! {
    let _ = reboot(RebootCommand::PowerOff);
    loop {
        thread::sleep(Duration::from_secs(1));
    }
}
