//! What the kernel side says of itself.

use std::time::Duration;

use aya::programs::ProgramInfo;

use super::{Datapath, object};
use crate::model::{ProgramRuns, RingStatus};

/// What the kernel side says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelStatus {
    /// Flow table entries in use.
    pub flow_entries: u64,
    /// Flow table entries in all.
    pub flow_capacity: u64,
    /// Memory of all maps in bytes.
    pub map_bytes: u64,
    /// Entries that had to give way.
    pub evictions: u64,
    /// Samples written to the ring.
    pub samples: u64,
    /// Samples that found the ring full.
    pub samples_lost: u64,
    /// DNS messages written to the ring.
    pub messages: u64,
    /// DNS messages beyond the rate of their interface.
    pub messages_over_rate: u64,
    /// DNS messages that found the ring full.
    pub messages_lost: u64,
}

impl Datapath {
    /// What the kernel side says of itself.
    pub fn status(&self) -> KernelStatus {
        let mut status = KernelStatus {
            flow_entries: self.flows.used(),
            flow_capacity: self.flows.capacity(),
            map_bytes: self.map_bytes,
            ..KernelStatus::default()
        };
        for state in (0..self.cpus).filter_map(|cpu| self.cpu_states.read(cpu)) {
            status.evictions += state.evictions;
            status.samples += state.samples;
            status.samples_lost += state.samples_lost;
            status.messages += state.messages;
            status.messages_over_rate += state.messages_over_rate;
            status.messages_lost += state.messages_lost;
        }
        status
    }

    /// The rings, and how full they were.
    pub fn rings(&self) -> [RingStatus; 4] {
        [
            self.flows.ring().status("flows"),
            self.samples.status("samples"),
            self.messages.status("dns"),
            self.drops.ring().status("drops"),
        ]
    }

    /// The kernel's statistics of the programs; zero unless `sysctl kernel.bpf_stats_enabled` is on.
    pub fn program_runs(&self) -> Vec<ProgramRuns> {
        let optional = self.drops.is_running().then_some((object::DROP_PROGRAM, "drop"));
        object::PROGRAMS
            .into_iter()
            .chain(optional)
            .map(|(program, label)| {
                let info = self.ebpf.program(program).and_then(|program| program.info().ok());
                ProgramRuns {
                    program: label,
                    runs: info.as_ref().map_or(0, ProgramInfo::run_count),
                    time: info.as_ref().map_or(Duration::ZERO, ProgramInfo::run_time),
                }
            })
            .collect()
    }
}
