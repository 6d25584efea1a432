//! What of the kernel's eBPF a process holds, by its descriptors.

use std::fs;

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
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten() {
        let Ok(info) = fs::read_to_string(entry.path()) else { continue };
        held.descriptors += 1;
        let number = |name: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|text| text.trim().parse::<u32>().ok())
        };
        // A link tells of its program too.
        if let Some(link) = number("link_id:") {
            if !info.contains("raw_tracepoint") {
                held.links.push(link);
            }
        } else if number("map_id:").is_some() {
            held.maps += 1;
        } else if number("prog_id:").is_some() {
            held.programs += 1;
        }
    }
    held
}
