//! One virtual machine, from power on to power off.

use std::{
    path::Path,
    process::{Child, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use super::qemu::Emulator;
use crate::{
    cleanup,
    command::{dies_with_us, drain, line},
};

/// A guest that takes longer has got stuck: it takes a minute or two, most of it for the verifier.
const PATIENCE: Duration = Duration::from_mins(10);

/// Software emulation on purpose: /dev/kvm may be there and not work, and qemu then does not fall back.
const MACHINE: [&str; 15] = [
    "-accel",
    "tcg",
    "-cpu",
    "qemu64",
    "-M",
    "pc",
    "-m",
    "512",
    "-smp",
    "1",
    "-nodefaults",
    "-no-user-config",
    "-no-reboot",
    "-serial",
    "stdio",
];
/// After a panic the kernel reboots at once, and qemu ends instead.
const KERNEL: &str = "console=ttyS0 panic=-1 quiet loglevel=4";

/// What came of it.
pub(super) struct Ended {
    /// `None`: it was stuck, and was switched off.
    pub(super) status: Option<ExitStatus>,
    pub(super) console: String,
}

/// Boots a kernel, and waits until the machine is off.
pub(super) fn boot(emulator: &Emulator, image: &Path, initramfs: &Path) -> Result<Ended> {
    let mut command = emulator.command();
    command.args(MACHINE).args(["-display", "none", "-append", KERNEL]);
    command.arg("-kernel").arg(image).arg("-initrd").arg(initramfs);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    dies_with_us(&mut command);
    let child = command.spawn().with_context(|| format!("starting {}", line(&command)))?;
    let mut machine = Machine(child);
    let console = drain(machine.0.stdout.take());
    let complaints = drain(machine.0.stderr.take());
    let status = machine.wait()?;
    drop(machine);
    let read = |reader: thread::JoinHandle<String>| reader.join().unwrap_or_default();
    Ok(Ended { status, console: read(console) + &read(complaints) })
}

/// Switched off when dropped.
struct Machine(Child);

impl Machine {
    fn wait(&mut self) -> Result<Option<ExitStatus>> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            cleanup::check()?;
            if let Some(status) = self.0.try_wait().context("waiting for qemu")? {
                return Ok(Some(status));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(None)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Both fail where it is off already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
