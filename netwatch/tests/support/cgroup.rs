//! A control group of a test's own, by either version of the kernel's interface.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use super::wait::until;

/// Removed when dropped; who is in it then goes back to the root.
pub struct Group {
    path: PathBuf,
    is_first: bool,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Group {
    /// With limits on what `controller` controls: `memory` or `cpu`.
    pub fn new(controller: &str) -> Self {
        let first = Path::new("/sys/fs/cgroup").join(controller);
        let is_first = first.is_dir();
        let parent = if is_first { first } else { unified(controller) };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("netwatch-test-{}-{number}", process::id()));
        fs::create_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path, is_first }
    }

    pub fn add(&self, pid: u32) {
        self.write("cgroup.procs", &pid.to_string());
    }

    /// At most so many bytes, the kernel's on its behalf included.
    pub fn limit_memory(&self, bytes: u64) {
        self.write(self.name("memory.limit_in_bytes", "memory.max"), &bytes.to_string());
    }

    pub fn memory(&self) -> u64 {
        let name = self.name("memory.usage_in_bytes", "memory.current");
        let text = fs::read_to_string(self.path.join(name)).expect("the memory in use");
        text.trim().parse().expect("a number")
    }

    /// How often it came to the limit.
    pub fn times_at_limit(&self) -> u64 {
        if self.is_first {
            let text = fs::read_to_string(self.path.join("memory.failcnt")).expect("a count");
            return text.trim().parse().expect("a number");
        }
        let text = fs::read_to_string(self.path.join("memory.events")).expect("events");
        let line = text.lines().find_map(|line| line.strip_prefix("max "));
        line.and_then(|count| count.parse().ok()).expect("a number")
    }

    /// So many thousandths of a CPU, in portions of at most 100 ms.
    pub fn limit_cpu(&self, thousandths: u32) {
        let micros = thousandths * 100;
        if self.is_first {
            self.write("cpu.cfs_period_us", "100000");
            self.write("cpu.cfs_quota_us", &micros.to_string());
        } else {
            self.write("cpu.max", &format!("{micros} 100000"));
        }
    }

    pub fn free_cpu(&self) {
        if self.is_first {
            self.write("cpu.cfs_quota_us", "-1");
        } else {
            self.write("cpu.max", "max");
        }
    }

    fn name(&self, first: &'static str, second: &'static str) -> &'static str {
        if self.is_first { first } else { second }
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path.join(name);
        fs::write(&path, text)
            .unwrap_or_else(|error| panic!("writing {text} to {}: {error}", path.display()));
    }
}

/// The one hierarchy of version 2, with the controller switched on below its root.
fn unified(controller: &str) -> PathBuf {
    let root = PathBuf::from("/sys/fs/cgroup");
    fs::write(root.join("cgroup.subtree_control"), format!("+{controller}"))
        .unwrap_or_else(|error| panic!("no control group for {controller}: {error}"));
    root
}

impl Drop for Group {
    fn drop(&mut self) {
        let root = self.path.parent().map(|parent| parent.join("cgroup.procs"));
        let inside = fs::read_to_string(self.path.join("cgroup.procs")).unwrap_or_default();
        for pid in inside.lines() {
            let _ = root.as_ref().map(|root| fs::write(root, pid));
        }
        if std::thread::panicking() {
            let _ = fs::remove_dir(&self.path);
            return;
        }
        until("the control group can be removed", || match fs::remove_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => None,
            _ => Some(()),
        });
    }
}
