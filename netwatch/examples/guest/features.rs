//! What this kernel has, as it says itself.

use std::fs;

use anyhow::{Context as _, Result};
use aya::{maps::MapType, programs::SchedClassifier};
use netwatch::datapath::Datapath;

use crate::report::Report;

const BTF: &str = "/sys/kernel/btf/vmlinux";
const KFREE_SKB: &str = "/sys/kernel/tracing/events/skb/kfree_skb/format";

/// What is there before anything is loaded.
pub fn kernel(report: &Report) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    report.has("release", release.trim());
    report.has("btf", fs::metadata(BTF).map_or("no", |_| "yes"));
    let ring = aya::sys::is_map_supported(MapType::RingBuf);
    report.has("ring-buffer", ring.map_or_else(|error| error.to_string(), |has| yes(has).into()));
    let fields = fs::read_to_string(KFREE_SKB)
        .map_or_else(|error| error.to_string(), |format| fields(&format).join(" "));
    report.has("kfree_skb-tells", fields);
}

/// What the loaded programs cost the verifier and the memory.
pub fn programs(report: &Report, datapath: &mut Datapath) -> Result<()> {
    for program in ["netwatch_ingress", "netwatch_egress"] {
        let loaded: &SchedClassifier =
            datapath.ebpf_mut().program(program).context(program)?.try_into()?;
        let info = loaded.info()?;
        let name = program.trim_start_matches("netwatch_");
        let verified = info.verified_instruction_count();
        let told = verified.map_or_else(|| "not told".into(), |count| count.to_string());
        report.has(&format!("{name}-instructions-verified"), told);
        let bytes = info.size_jitted();
        report.has(&format!("{name}-bytes-of-machine-code"), bytes);
    }
    // Datapath::load fails where an array cannot be mapped, so to be here is to have them.
    report.has("memory-mapped-arrays", "yes");
    Ok(())
}

/// The names in a tracepoint's description, without those that each has.
fn fields(format: &str) -> Vec<&str> {
    format
        .lines()
        .filter_map(|line| line.trim().strip_prefix("field:")?.split(';').next())
        .filter_map(|declaration| declaration.rsplit([' ', '*']).next())
        .filter(|name| !name.starts_with("common_"))
        .collect()
}

fn yes(has: bool) -> &'static str {
    if has { "yes" } else { "no" }
}
