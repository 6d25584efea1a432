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
mod lost;
mod object;
mod offer;
mod pins;
mod pool;
mod reading;
mod reasons;
mod rights;
mod ring_buffer;
mod shadow;
mod shared;
mod sole;
mod status;
mod taken;
mod trial;
mod unwanted;

use std::{fs::File, mem::offset_of};

use aya::{
    Ebpf,
    maps::{Array, MapData},
};
use netwatch_common::{
    cpu::CpuState,
    flow::Tally as AbiTally,
    header::Header,
    sample::{MOST_SAMPLE_RATE, SAMPLE_BYTES},
};
use serde::Serialize;

pub use abi::ends;
pub use attach::AttachMode;
pub use beside::{Beside, Hook, Mechanism, hooked, knows_tcx};
pub use drops::DropStatus;
pub use error::{AttachError, DatapathError};
pub use object::{Inheritance, Options};
pub use pins::{PinPlace, mount as mount_pins, place as pin_place, remove as remove_pinned};
pub use rights::{
    CONFIDENTIALITY, LOCKED, NEEDED, effective, lockdown, missing, needs_sys_admin,
    needs_sys_resource,
};
pub use shadow::Bookmark;
pub use status::KernelStatus;
pub use trial::{Trial, trial};

use attach::Attacher;
use drops::Drops;
use flows::FlowTable;
use interfaces::InterfaceTable;
use offer::Offer;
use pins::Pins;
use ring_buffer::Ring;
use shared::SharedArray;
use sole::Sole;

use crate::model::{Feature, Instant, InterfaceCounters, InterfaceKind, Observation};

/// The programs in the kernel, their maps and their attachments. Dropping it detaches what is not pinned: end it by
/// [`Datapath::remove`] or [`Datapath::leave`].
pub struct Datapath {
    ebpf: Ebpf,
    attacher: Attacher,
    interfaces: InterfaceTable,
    flows: FlowTable,
    outcomes: SharedArray<AbiTally>,
    cpu_states: SharedArray<CpuState>,
    clock: Array<MapData, u64>,
    samples: Ring,
    messages: Ring,
    drops: Drops,
    cpus: u32,
    map_bytes: u64,
    id: u64,
    pins: Option<Pins>,
    pinning: Feature,
    /// Interfaces of an earlier agent's that are gone.
    gone: Vec<u32>,
    is_inherited: bool,
}

impl Datapath {
    /// Loads the programs into the kernel. Nothing is attached yet, but what an earlier agent has left where ours are pinned, if
    /// that is the one we know of.
    pub fn load(options: &Options) -> Result<Self, DatapathError> {
        // First: who may not observe is to be in nobody's way.
        object::check(options)?;
        let offer = Offer::of_this_kernel();
        let sole = Sole::claim();
        let pins = Pins::choose(options, &sole);
        let pinning = pins::feature(pins.as_ref().err());
        if let (Some(why), true) = (&pinning.lacking, options.pins.is_some()) {
            tracing::warn!(feature = pinning.name, "goes on without: {why}");
        }
        let pins = pins.ok();
        let mut loaded = object::load(options, offer.facts, pins.as_ref())?;
        filter::fill(&options.exclusion, &loaded.shared("EXCLUDED")?, &mut loaded.ebpf)?;
        let bookmark = options.inheritance.as_ref().map(|inheritance| &inheritance.bookmark);
        let header: SharedArray<Header> = loaded.shared(pins::HEADER)?;
        let mut datapath = Self {
            interfaces: InterfaceTable::new(loaded.shared("INTERFACES")?, loaded.cpus),
            flows: FlowTable::take(&mut loaded, bookmark, &options.exclusion.networks)?,
            outcomes: loaded.shared("OUTCOMES")?,
            cpu_states: loaded.shared("CPUS")?,
            clock: loaded.clock()?,
            samples: loaded.ring("SAMPLES")?,
            messages: loaded.ring("MESSAGES")?,
            drops: Drops::start(&mut loaded, offer)?,
            cpus: loaded.cpus,
            map_bytes: loaded.map_bytes(),
            attacher: Attacher::new(options.attach_mode, sole, pins.clone()),
            id: loaded.header.id,
            gone: Vec::new(),
            is_inherited: loaded.inherited,
            pinning,
            pins,
            ebpf: loaded.ebpf,
        };
        datapath.refresh_clock();
        datapath.set_sample_rate(options.sample_rate);
        datapath.set_sample_length(options.sample_length);
        if datapath.is_inherited {
            datapath.interfaces.take_over();
            datapath.gone = datapath.attacher.take_over(&mut datapath.ebpf);
        } else {
            header.write(0, loaded.header);
        }
        Ok(datapath)
    }

    /// Which kernel side this is: an agent that finds it needs to know what had been read of it.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether it can outlive this agent.
    pub fn is_pinned(&self) -> bool {
        self.pins.is_some()
    }

    /// Whether an earlier agent has made it, and it has counted since.
    pub fn is_inherited(&self) -> bool {
        self.is_inherited
    }

    /// How far the flows have been read: a [`Bookmark`] when it is read.
    pub fn bookmark(&self) -> impl Serialize {
        self.flows.bookmark()
    }

    /// Where what is taken out of the flow table for good is noted from now on: for an agent that goes on from here, to hand it to
    /// [`Self::read_noted`].
    pub fn note_into(&mut self, file: Option<File>) {
        self.flows.note_into(file);
    }

    /// Whether so much is noted that the bookmark had better be renewed.
    pub fn has_noted_much(&self) -> bool {
        self.flows.has_noted_much()
    }

    /// Hands out what an earlier agent had noted since the bookmark.
    pub fn read_noted(&mut self, noted: &[u8], mut each: impl FnMut(Observation)) {
        self.flows.read_noted(noted, &mut each);
    }

    /// Interfaces of an earlier agent's that are gone, with their last counters still to be read: once.
    pub fn take_gone(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.gone)
    }

    /// Ends, and lets it count on for the next agent. Where nothing is pinned it ends with this one.
    pub fn leave(mut self) {
        if self.pins.is_some() {
            self.attacher.leave();
        }
    }

    /// Ends, and takes everything away.
    pub fn remove(self) {
        let Self { attacher, pins, .. } = self;
        drop(attacher);
        if let Some(pins) = pins
            && let Err(error) = pins.remove()
        {
            let directory = pins.directory().display();
            tracing::warn!(%directory, %error, "what is pinned could not be removed");
        }
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

    /// The interfaces that have counters: those, and of an earlier agent's those that are gone or are to be attached to again.
    pub fn counted(&self) -> Vec<u32> {
        self.interfaces.assigned()
    }

    /// Of what kind an interface is that has counters, as far as an earlier agent has not told.
    pub fn is_of(&mut self, ifindex: u32, kind: InterfaceKind) {
        self.interfaces.is_of(ifindex, kind);
    }

    /// Whether an interface has counters.
    pub fn is_counted(&self, ifindex: u32) -> bool {
        self.interfaces.is_assigned(ifindex)
    }

    /// Whether the programs are attached to an interface.
    pub fn is_attached(&self, ifindex: u32) -> bool {
        self.attacher.is_attached(ifindex)
    }

    /// Whether somebody else has detached a program from an interface that we are attached to: at ingress, at egress.
    pub fn lost(&self, ifindex: u32) -> [bool; 2] {
        lost::lost(&self.ebpf, self.attacher.mechanism(), ifindex)
    }

    /// Attaches again where [`Datapath::lost`] found something. Counting goes on from where it was. Where it fails, the interface
    /// is to be detached.
    pub fn attach_again(
        &mut self,
        ifindex: u32,
        name: &str,
        lost: [bool; 2],
    ) -> Result<(), AttachError> {
        self.attacher.attach_again(&mut self.ebpf, ifindex, name, lost)
    }

    /// The interfaces that the programs are attached to.
    pub fn attached(&self) -> Vec<u32> {
        self.attacher.attached()
    }

    /// How the programs are attached: `tcx` or `clsact`.
    pub fn attach_kind(&self) -> &'static str {
        self.attacher.mechanism().name()
    }

    /// What this kernel and our rights allow beyond the two programs, and why not.
    pub fn features(&self) -> impl Iterator<Item = &Feature> {
        self.drops.features().iter().chain([&self.pinning])
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
