//! Marks on what the lab made, so that nobody else's namespace of the same name is ever touched.
//!
//! A mark is a file in `/run/netwatch-lab`, written *before* the thing is made: however the process dies, whatever exists
//! is marked. `/run` is empty after a boot, and so are namespaces and bridges.

use std::{
    fs,
    path::{Path, PathBuf},
    process, thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use crate::{cleanup, report::say};

const FOLDER: &str = "/run/netwatch-lab";
const TRAFFIC: &str = "traffic.pid";
const PATIENCE: Duration = Duration::from_secs(5);

/// Claims a name for the lab.
pub(super) fn set(name: &str) -> Result<()> {
    fs::create_dir_all(FOLDER)
        .and_then(|()| fs::write(file(name), ""))
        .with_context(|| format!("marking {name} as the lab's"))
}

/// Whether what bears this name is ours.
pub(super) fn is_set(name: &str) -> bool {
    file(name).exists()
}

/// Gives a name back.
pub(super) fn clear(name: &str) {
    // Both may be gone already, and the folder may hold other marks: all fine.
    let _ = fs::remove_file(file(name));
    let _ = fs::remove_dir(FOLDER);
}

fn file(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

/// Leaves word that this process sends traffic, so that `lab down` can stop it.
pub(super) fn set_traffic() -> Result<()> {
    let id = process::id();
    let started = started(id).context("reading our own start time from /proc")?;
    fs::write(file(TRAFFIC), format!("{id} {started}")).context("leaving word of the lab's traffic")
}

pub(super) fn clear_traffic() {
    clear(TRAFFIC);
}

/// Stops the process that sends traffic, if there is one, and waits until it has cleaned up. Tells whether there was.
pub(super) fn stop_traffic() -> bool {
    let Some(id) = traffic() else {
        clear(TRAFFIC);
        return false;
    };
    if id == process::id() {
        return false;
    }
    if let Err(error) = cleanup::signal(id, libc::SIGTERM) {
        say(format_args!("could not stop the traffic of process {id}: {error}"));
    }
    let begin = Instant::now();
    while traffic() == Some(id) && begin.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(20));
    }
    if traffic() == Some(id) {
        // Its children die with it.
        let _ = cleanup::signal(id, libc::SIGKILL);
    }
    clear(TRAFFIC);
    true
}

/// The process that left word, if it is still the same one: process ids come round again, start times do not.
fn traffic() -> Option<u32> {
    let text = fs::read_to_string(file(TRAFFIC)).ok()?;
    let (id, start) = text.split_once(' ')?;
    let id = id.parse().ok()?;
    (started(id)?.to_string() == start).then_some(id)
}

fn started(id: u32) -> Option<u64> {
    start_time(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
}

/// Field 22 of /proc/…/stat. The second field is the program's name, in brackets, and may hold anything.
fn start_time(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_found_behind_an_awkward_name() {
        let stat = "12 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21";
        assert_eq!(start_time(stat), Some(4711));
        assert_eq!(start_time("12 (a"), None);
    }

    #[test]
    fn a_process_has_a_start_time() {
        assert!(started(process::id()).is_some());
    }
}
