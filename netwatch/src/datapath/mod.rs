//! The border to the kernel: loads the programs, attaches them, and turns the bytes of their maps into model values.
//!
//! The only room that knows aya. Nothing here names anybody, and packets are read by the shared parser only.

mod abi;
mod attach;
mod beside;
mod btf;
mod clsact;
mod drops;
mod error;
mod filter;
mod flows;
mod grace;
mod interfaces;
mod object;
mod offer;
mod pool;
mod reasons;
mod rights;
mod shared;
mod sole;
mod trial;

use std::{mem::offset_of, time::Duration};

use aya::{
    Ebpf,
    maps::{Array, MapData, RingBuf},
    programs::ProgramInfo,
};
use netwatch_common::{
    cpu::CpuState,
    flow::Tally as AbiTally,
    outcome::{OUTCOME_STRIDE, Outcome},
    sample::{MOST_SAMPLE_RATE, SAMPLE_BYTES},
};

pub use abi::ends;
pub use attach::AttachMode;
pub use beside::{Beside, Hook, Mechanism, hooked, knows_tcx};
pub use drops::DropStatus;
pub use error::{AttachError, DatapathError};
pub use object::Options;
pub use rights::{
    CONFIDENTIALITY, LOCKED, NEEDED, effective, lockdown, missing, needs_sys_admin,
    needs_sys_resource,
};
pub use trial::{Trial, trial};

use attach::Attacher;
use drops::Drops;
use flows::FlowTable;
use interfaces::InterfaceTable;
use offer::Offer;
use shared::SharedArray;

use crate::model::{
    DropCount, DroppedPacket, Feature, Instant, InterfaceCounters, InterfaceKind, Message,
    Observation, ProgramRuns, Sample, Tally,
};

/// The programs in the kernel, their maps and their attachments. Dropping it detaches TCX links; call
/// [`Datapath::detach`] for each interface to be clean on older kernels too.
pub struct Datapath {
    ebpf: Ebpf,
    attacher: Attacher,
    interfaces: InterfaceTable,
    flows: FlowTable,
    outcomes: SharedArray<AbiTally>,
    cpu_states: SharedArray<CpuState>,
    clock: Array<MapData, u64>,
    samples: RingBuf<MapData>,
    messages: RingBuf<MapData>,
    drops: Drops,
    cpus: u32,
    map_bytes: u64,
}

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
    /// Loads the programs into the kernel. Nothing is attached yet.
    pub fn load(options: &Options) -> Result<Self, DatapathError> {
        let offer = Offer::of_this_kernel();
        let mut loaded = object::load(options, offer.facts)?;
        filter::fill(&options.exclusion, &loaded.shared("EXCLUDED")?, &mut loaded.ebpf)?;
        let mut datapath = Self {
            interfaces: InterfaceTable::new(loaded.shared("INTERFACES")?, loaded.cpus),
            flows: FlowTable::take(&mut loaded)?,
            outcomes: loaded.shared("OUTCOMES")?,
            cpu_states: loaded.shared("CPUS")?,
            clock: loaded.clock()?,
            samples: loaded.ring("SAMPLES")?,
            messages: loaded.ring("MESSAGES")?,
            drops: Drops::start(&mut loaded, offer)?,
            cpus: loaded.cpus,
            map_bytes: loaded.map_bytes(),
            attacher: Attacher::new(options.attach_mode),
            ebpf: loaded.ebpf,
        };
        datapath.refresh_clock();
        datapath.set_sample_rate(options.sample_rate);
        datapath.set_sample_length(options.sample_length);
        Ok(datapath)
    }

    /// Removes programs that a killed agent left on an interface, unless another agent runs in this network namespace,
    /// whose they may be. Answers whether there were any.
    pub fn remove_leftovers(&self, interface: &str, ifindex: u32) -> bool {
        self.attacher.remove_leftovers(interface, ifindex)
    }

    /// Attaches both programs to an interface. Counting begins at zero.
    pub fn attach(
        &mut self,
        ifindex: u32,
        name: &str,
        kind: InterfaceKind,
    ) -> Result<(), AttachError> {
        if self.attacher.is_attached(ifindex) {
            return Ok(());
        }
        self.interfaces.assign(ifindex, kind)?;
        if let Err(error) = self.attacher.attach(&mut self.ebpf, ifindex, name) {
            self.interfaces.release(ifindex);
            return Err(error);
        }
        Ok(())
    }

    /// Detaches the programs and answers with the final counters. Also for an interface that is gone already. Read the
    /// flows once more before: their entries name the interface by a slot that is free after this.
    pub fn detach(&mut self, ifindex: u32) -> Option<InterfaceCounters> {
        self.attacher.detach(ifindex);
        let counters = self.interfaces.counters(ifindex);
        self.interfaces.release(ifindex);
        counters
    }

    /// Whether the programs are attached to an interface.
    pub fn is_attached(&self, ifindex: u32) -> bool {
        self.attacher.is_attached(ifindex)
    }

    /// The interfaces that the programs are attached to.
    pub fn attached(&self) -> Vec<u32> {
        self.attacher.attached()
    }

    /// How the programs are attached: `tcx` or `clsact`.
    pub fn attach_kind(&self) -> &'static str {
        self.attacher.kind()
    }

    /// The counters of an interface since it was attached.
    pub fn counters(&self, ifindex: u32) -> Option<InterfaceCounters> {
        self.interfaces.counters(ifindex)
    }

    /// All packets that any hook has seen since the start.
    pub fn seen(&self) -> Tally {
        // Those without a slot are in no interface's counters.
        self.interfaces.seen() + self.outcome(Outcome::UnknownInterface)
    }

    /// How many packets are in no flow, and why.
    pub fn outcomes(&self) -> Vec<(Outcome, Tally)> {
        Outcome::ALL.iter().map(|outcome| (*outcome, self.outcome(*outcome))).collect()
    }

    fn outcome(&self, outcome: Outcome) -> Tally {
        (0..self.cpus)
            .filter_map(|cpu| self.outcomes.read(cpu * OUTCOME_STRIDE + outcome as u32))
            .map(abi::tally)
            .fold(Tally::ZERO, |sum, tally| sum + tally)
    }

    /// Hands out what every flow entry has counted since the last call.
    pub fn read_flows(&mut self, mut each: impl FnMut(Observation)) {
        self.flows.read(&self.interfaces, &mut each);
    }

    /// Hands out what entries that gave way since the last call had counted, and sees to it that the programs have entries for
    /// new flows: soon, so that neither their ring nor they have too few.
    pub fn read_evicted(&mut self, mut each: impl FnMut(Observation)) {
        self.flows.serve(&self.interfaces, &mut each);
    }

    /// Hands out the samples that have come since the last call.
    pub fn read_samples(&mut self, mut each: impl FnMut(Sample)) {
        while let Some(item) = self.samples.next() {
            if let Some(sample) = abi::sample(&item) {
                each(sample);
            }
        }
    }

    /// Hands out the DNS messages that have come since the last call.
    pub fn read_messages(&mut self, mut each: impl FnMut(Message)) {
        while let Some(item) = self.messages.next() {
            if let Some(message) = abi::message(&item) {
                each(message);
            }
        }
    }

    /// What this kernel and our rights allow beyond the two programs, and why not.
    pub fn features(&self) -> &[Feature] {
        self.drops.features()
    }

    /// Whether drops are counted.
    pub fn counts_drops(&self) -> bool {
        self.drops.is_running()
    }

    /// All drops that have been counted.
    pub fn dropped(&self) -> u64 {
        self.drops.counted()
    }

    /// Observes drops in a container's network namespace, by the kernel's number of it, under an identifier of the
    /// caller's; 0 is the host's.
    pub fn observe_namespace(&mut self, number: u32, id: u32) -> Result<(), DatapathError> {
        self.drops.observe(number, id)
    }

    /// Observes them no more. What has been counted there is in the next reading.
    pub fn forget_namespace(&mut self, number: u32, id: u32) {
        self.drops.forget(number, id);
    }

    /// Hands out how many packets have been dropped since the last call, exactly.
    pub fn read_drop_counts(&mut self, mut each: impl FnMut(DropCount)) {
        self.drops.read_counts(&self.interfaces, &mut each);
    }

    /// The dropped packets of flows that have been told since the last call: not all of them in a storm.
    pub fn read_dropped_packets(&mut self) -> Vec<DroppedPacket> {
        self.drops.read_packets()
    }

    /// What the kernel side says of drops.
    pub fn drop_status(&self) -> DropStatus {
        self.drops.status(&self.ebpf)
    }

    /// Gives the programs the time. They use it for packets whose exact time does not matter.
    pub fn refresh_clock(&mut self) {
        if let Err(error) = self.clock.set(0, monotonic_now().0, 0) {
            tracing::debug!(%error, "the kernel side's clock was not refreshed");
        }
    }

    /// Changes the rate at which packets are sampled, at once: one in `rate`, up to [`MOST_SAMPLE_RATE`]. 0 = off.
    pub fn set_sample_rate(&self, rate: u32) {
        self.set(offset_of!(CpuState, sample_rate), rate.min(MOST_SAMPLE_RATE));
        self.interfaces.redraw_samples();
    }

    /// Changes how many bytes of a packet a sample carries at most, up to [`SAMPLE_BYTES`].
    pub fn set_sample_length(&self, bytes: u16) {
        self.set(offset_of!(CpuState, sample_length), bytes.min(SAMPLE_BYTES).into());
    }

    /// Writes a setting for each CPU.
    fn set(&self, offset: usize, value: u32) {
        for cpu in 0..self.cpus {
            self.cpu_states.write_u32(cpu, offset, value);
        }
    }

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

    /// The loaded object, for messages of the kernel side and for tests that run a program by hand.
    pub fn ebpf_mut(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }

    /// Takes up the kernel side's messages, if the object has them, and logs them until dropped.
    pub fn messages(&mut self) -> Result<tokio::task::JoinHandle<()>, DatapathError> {
        object::messages(&mut self.ebpf)
    }
}

/// `CLOCK_MONOTONIC`, the clock of the kernel side.
pub fn monotonic_now() -> Instant {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid pointer to a timespec; the clock exists on every Linux.
    #[expect(unsafe_code, reason = "the standard library does not give the clock's value")]
    unsafe {
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time);
    }
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Instant(seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0))
}
