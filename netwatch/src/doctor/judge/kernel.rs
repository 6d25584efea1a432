//! The kernel, and what it lets us do.

use std::collections::HashMap;

use super::{super::facts::Kernel, Case, Finding};
use crate::datapath::{CONFIDENTIALITY, DatapathError, LOCKED, NEEDED, missing};

/// The oldest that netwatch is written for.
const OLDEST: (u32, u32) = (5, 10);
/// Folders of others (linux/capability.h).
const DAC_OVERRIDE: u32 = 1;

const REQUIRED: [&str; 2] = ["CONFIG_BPF_SYSCALL", "CONFIG_DEBUG_INFO_BTF"];
const TCX: &str = "CONFIG_NET_XGRESS";
const CLSACT: [&str; 2] = ["CONFIG_NET_CLS_BPF", "CONFIG_NET_SCH_INGRESS"];
const OPTIONAL: [&str; 2] = ["CONFIG_BPF_JIT", "CONFIG_BPF_EVENTS"];

pub(super) fn release(kernel: &Kernel, loads: bool) -> Finding {
    let message = format!("Linux {}", kernel.release);
    let (major, minor) = OLDEST;
    match kernel.version() {
        None => Finding::new(Case::KernelUnknown, message),
        Some(version) if version < OLDEST => {
            let case = if loads { Case::KernelPatched } else { Case::KernelOld };
            Finding::new(case, format!("{message} is older than {major}.{minor}"))
        }
        Some(_) => Finding::new(Case::KernelSupported, message),
    }
}

pub(super) fn config(kernel: &Kernel) -> Finding {
    let Some((path, options)) = &kernel.config else {
        return Finding::new(
            Case::ConfigUnreadable,
            "the configuration of the kernel is not readable",
        );
    };
    let place = path.display();
    let lacking = |case, all: &[&str]| {
        Finding::new(case, format!("the kernel was built without {} ({place})", all.join(", ")))
    };
    let absent = absent(options, &REQUIRED);
    if !absent.is_empty() {
        return lacking(Case::ConfigLacking, &absent);
    }
    let clsact = self::absent(options, &CLSACT);
    if !options.contains_key(TCX) && !clsact.is_empty() {
        return lacking(Case::ConfigLacking, &clsact);
    }
    let absent = self::absent(options, &OPTIONAL);
    if !absent.is_empty() {
        return lacking(Case::ConfigPartial, &absent);
    }
    Finding::new(Case::ConfigComplete, format!("all that netwatch uses is there ({place})"))
}

fn absent(options: &HashMap<String, String>, wanted: &[&'static str]) -> Vec<&'static str> {
    wanted.iter().copied().filter(|option| !options.contains_key(*option)).collect()
}

pub(super) fn btf(kernel: &Kernel) -> Finding {
    match &kernel.btf {
        Ok(()) => Finding::new(Case::BtfPresent, "the kernel describes its types"),
        Err(why) => Finding::new(Case::BtfMissing, format!("{} ({why})", DatapathError::NO_BTF)),
    }
}

pub(super) fn capabilities(effective: Option<u64>, is_root: bool) -> Finding {
    let Some(effective) = effective else {
        return Finding::new(
            Case::CapabilitiesUnknown,
            "the capabilities of this process are not readable",
        );
    };
    let missing = missing(effective);
    if !missing.is_empty() {
        return Finding::new(
            Case::CapabilitiesLacking,
            DatapathError::lacking(&missing).to_string(),
        );
    }
    if !is_root && effective & (1 << DAC_OVERRIDE) == 0 {
        let message = "the engine's folder of network namespaces is root's, and this is not root";
        return Finding::new(Case::CapabilitiesPartial, message);
    }
    let all: Vec<&str> = NEEDED.iter().map(|(name, _)| *name).collect();
    Finding::new(Case::CapabilitiesComplete, all.join(", "))
}

pub(super) fn lockdown(kernel: &Kernel) -> Finding {
    match kernel.lockdown.as_deref() {
        Some(CONFIDENTIALITY) => Finding::new(Case::LockdownConfidential, LOCKED),
        Some(mode) => Finding::new(Case::LockdownOpen, format!("mode {mode}")),
        None => Finding::new(Case::LockdownOpen, "the kernel tells of no lockdown"),
    }
}
