//! What of the kernel's eBPF processes hold, by their descriptors.

use std::{collections::BTreeSet, fs};

/// Numbers of links; how many maps, programs and descriptors of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub links: Vec<u32>,
    pub maps: usize,
    pub programs: usize,
    pub descriptors: usize,
}

/// A process that ends meanwhile holds nothing.
pub fn by(pid: u32) -> Held {
    let mut held = Held { links: Vec::new(), maps: 0, programs: 0, descriptors: 0 };
    for info in descriptors(pid) {
        held.descriptors += 1;
        // A link tells of its program too.
        if let Some(link) = number(&info, "link_id:") {
            if !info.contains("raw_tracepoint") {
                held.links.push(link);
            }
        } else if number(&info, "map_id:").is_some() {
            held.maps += 1;
        } else if number(&info, "prog_id:").is_some() {
            held.programs += 1;
        }
    }
    held
}

/// Numbers of the links, and of the programs, that some process holds.
pub fn by_anybody() -> [BTreeSet<u32>; 2] {
    let mut numbers = [BTreeSet::new(), BTreeSet::new()];
    let entries = fs::read_dir("/proc").expect("the processes").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    for info in pids.flat_map(descriptors) {
        for (numbers, name) in numbers.iter_mut().zip(["link_id:", "prog_id:"]) {
            numbers.extend(number(&info, name));
        }
    }
    numbers
}

/// What the kernel says of each descriptor of a process.
fn descriptors(pid: u32) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten();
    entries.filter_map(|entry| fs::read_to_string(entry.path()).ok())
}

fn number(info: &str, name: &str) -> Option<u32> {
    let line = info.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|text| text.trim().parse().ok())
}
