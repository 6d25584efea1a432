//! The programs under test in the kernel, and one run of one of them.

#![expect(unsafe_code, reason = "which type is plain bytes")]

use std::{io, thread, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use aya::{
    Ebpf, Pod,
    maps::{Array, MapData, ProgramArray},
    programs::{SchedClassifier, TestRun as _, TestRunOptions},
};
use netwatch::{
    datapath::{AttachMode, Datapath, Options},
    model::{Exclusion, InterfaceKind},
};
use netwatch_common::{config::DEFAULT_FLOW_ENTRIES, outcome::Outcome};

use super::drive::Drive;
use crate::cpu::{self, Cpus};

/// The bench's own programs.
pub static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/netwatch-bench-ebpf"));

/// The loopback device of a new network namespace. It is down: only what is run by hand passes its hooks.
const LO: u32 = 1;
/// What `drive` answers when it could not call the program (`TC_ACT_SHOT`).
const NOT_CALLED: u32 = 2;

// SAFETY: repr(C), integers only, no padding (its size is asserted beside it).
unsafe impl Pod for Drive {}

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Nothing: what loop and driver cost.
    Empty,
    /// The plain flow counter.
    Yardstick,
    /// The least that finding a flow can cost.
    Least,
    /// netwatch, where the interface receives.
    Ingress,
    /// netwatch, where the interface transmits.
    Egress,
}

impl Subject {
    /// All of them; their places here are those in the kernel's table of programs.
    pub const ALL: [Self; 5] =
        [Self::Empty, Self::Yardstick, Self::Least, Self::Ingress, Self::Egress];
}

/// The driver with the programs that are not netwatch's.
struct Driver {
    ebpf: Ebpf,
    state: Array<MapData, Drive>,
    programs: ProgramArray<MapData>,
}

/// All programs, each of netwatch's two with tables of its own.
pub struct Kernel {
    driver: Driver,
    ingress: Datapath,
    egress: Datapath,
}

impl Kernel {
    /// Loads everything, with what `netwatch run` sets by default and then what the caller changes.
    pub fn load(configure: impl Fn(&mut Options)) -> Result<Self> {
        let mut options = Options {
            flow_entries: DEFAULT_FLOW_ENTRIES,
            sample_rate: 1000,
            sample_length: 128,
            dns_rate: 1000,
            exclusion: Exclusion::default(),
            attach_mode: AttachMode::Auto,
            messages: false,
            pins: None,
            inheritance: None,
        };
        configure(&mut options);
        let mut kernel = Self {
            driver: Driver::load()?,
            ingress: datapath(&options)?,
            egress: datapath(&options)?,
        };
        kernel.connect()?;
        Ok(kernel)
    }

    /// Empties the yardstick's tables.
    pub fn renew_yardstick(&mut self) -> Result<()> {
        self.driver = Driver::load()?;
        self.connect()
    }

    fn connect(&mut self) -> Result<()> {
        for (index, subject) in (0..).zip(Subject::ALL) {
            let program = self.program(subject)?.fd()?.try_clone()?;
            self.driver.programs.set(index, &program, 0)?;
        }
        Ok(())
    }

    /// A program under test.
    pub fn program(&mut self, subject: Subject) -> Result<&SchedClassifier> {
        let program = match subject {
            Subject::Empty => classifier(&mut self.driver.ebpf, "empty"),
            Subject::Yardstick => classifier(&mut self.driver.ebpf, "yardstick"),
            Subject::Least => classifier(&mut self.driver.ebpf, "least"),
            Subject::Ingress => classifier(self.ingress.ebpf_mut(), "netwatch_ingress"),
            Subject::Egress => classifier(self.egress.ebpf_mut(), "netwatch_egress"),
        }?;
        Ok(program)
    }

    /// netwatch's two.
    fn datapaths(&mut self) -> [&mut Datapath; 2] {
        [&mut self.ingress, &mut self.egress]
    }

    /// Runs a program on `packets` packets; answers with the CPU time that took.
    pub fn run(
        &mut self,
        subject: Subject,
        packet: &[u8],
        drive: &mut Drive,
        packets: u32,
    ) -> Result<Duration> {
        for datapath in self.datapaths() {
            datapath.refresh_clock();
        }
        drive.program = subject as u32;
        self.driver.state.set(0, *drive, 0)?;
        // `struct __sk_buff` (linux/bpf.h): ifindex at 40; what may not be set has to be zero.
        let mut context = [0; 192];
        context[40..44].copy_from_slice(&LO.to_ne_bytes());
        let options = TestRunOptions {
            data_in: Some(packet),
            ctx_in: Some(&context),
            repeat: packets,
            ..TestRunOptions::default()
        };
        let program = classifier(&mut self.driver.ebpf, "drive")?;
        let begin = cpu::time()?;
        let result = program.test_run(options)?;
        let end = cpu::time()?;
        ensure!(result.return_value != NOT_CALLED, "the driver could not call {subject:?}");
        *drive = self.driver.state.get(&0, 0)?;
        Ok(end.saturating_sub(begin))
    }

    /// Takes what has come through netwatch's rings, on another CPU, as the agent does.
    pub fn drain(&mut self, cpus: &Cpus) -> Result<()> {
        let [ingress, egress] = self.datapaths();
        let drain = move || -> io::Result<()> {
            cpus.leave()?;
            for datapath in [ingress, egress] {
                datapath.read_samples(drop);
                datapath.read_messages(drop);
                datapath.read_flows(drop);
            }
            Ok(())
        };
        match thread::scope(|scope| scope.spawn(drain).join()) {
            Ok(result) => result.context("reading netwatch's rings"),
            Err(_) => bail!("reading netwatch's rings failed"),
        }
    }

    /// What each of netwatch's two programs has done since it was loaded.
    pub fn done(&self) -> [Done; 2] {
        [&self.ingress, &self.egress].map(|datapath| {
            let status = datapath.status();
            let full = datapath
                .outcomes()
                .iter()
                .filter(|(outcome, _)| *outcome == Outcome::FlowTableFull)
                .map(|(_, tally)| tally.packets)
                .sum::<u64>();
            Done {
                seen: datapath.seen().packets,
                lost: full + status.samples_lost + status.messages_lost,
                evictions: status.evictions,
            }
        })
    }
}

/// What a program of netwatch's has done.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// Packets that it has seen.
    pub seen: u64,
    /// Packets, samples and messages that found a ring full.
    pub lost: u64,
    /// Flow entries that gave way to others.
    pub evictions: u64,
}

impl Driver {
    fn load() -> Result<Self> {
        let mut ebpf = Ebpf::load(OBJECT)?;
        for name in ["drive", "empty", "yardstick", "least"] {
            classifier(&mut ebpf, name)?.load()?;
        }
        let state = ebpf.take_map("DRIVE").context("no map DRIVE")?;
        let programs = ebpf.take_map("PROGRAMS").context("no map PROGRAMS")?;
        Ok(Self { ebpf, state: state.try_into()?, programs: programs.try_into()? })
    }
}

fn datapath(options: &Options) -> Result<Datapath> {
    let mut datapath = Datapath::load(options)?;
    datapath.attach(LO, "lo", InterfaceKind::Veth)?;
    Ok(datapath)
}

/// A program of an object.
pub fn classifier<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut SchedClassifier> {
    let program = ebpf.program_mut(name).with_context(|| format!("no program {name}"))?;
    Ok(program.try_into()?)
}
