//! The time of a packet.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use netwatch_common::config::Settings;

use crate::maps::SETTINGS;

/// The time as of the last refresh: no helper call.
#[inline(always)]
pub fn recent() -> u64 {
    match settings() {
        // SAFETY: the array has one element, which the agent writes as aligned words.
        Some(settings) => unsafe { (&raw const (*settings).clock_ns).read_volatile() },
        None => exact(),
    }
}

/// The time now. Refreshes the recent time for everybody else on the way: it goes on, more coarsely, without the agent.
#[inline(always)]
pub fn exact() -> u64 {
    // SAFETY: a helper without arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    if let Some(settings) = settings() {
        // SAFETY: as above; two writers leave one of two times that are both recent.
        unsafe { (&raw mut (*settings).clock_ns).write_volatile(now) };
    }
    now
}

#[inline(always)]
fn settings() -> Option<*mut Settings> {
    SETTINGS.get_ptr_mut(0)
}
