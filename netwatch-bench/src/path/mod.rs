//! The packet path: netwatch's programs and the yardstick, run by the kernel on packets in memory
//! (`BPF_PROG_TEST_RUN`). No interface carries anything.

mod case;
#[path = "../../../netwatch-ebpf/bench/drive.rs"]
mod drive;
mod kernel;
mod measure;
mod packet;
mod program;

use anyhow::{Context as _, Result};
use serde::Serialize;

pub use kernel::{OBJECT, classifier};
pub use measure::Cost;
pub use program::Program;

use crate::cpu::{self, Cpus};

/// What the packet path costs.
#[derive(Debug, Default, Serialize)]
pub struct Path {
    /// Each case.
    pub costs: Vec<Cost>,
    /// What the verifier says of the programs.
    pub programs: Vec<Program>,
}

/// Measures all cases with a text in their name. Hands out each result as it comes.
pub fn measure(only: &str, cpus: &Cpus, mut each: impl FnMut(&Cost)) -> Result<Path> {
    cpus.stay().context("staying on one CPU")?;
    cpu::new_network().context("making a network namespace")?;
    let programs = program::describe(&mut kernel::Kernel::load(|_| {})?)?;
    let mut path = Path { costs: Vec::new(), programs };
    for case in case::all().iter().filter(|case| case.name.contains(only)) {
        let cost =
            measure::measure(case, cpus).with_context(|| format!("measuring {}", case.name))?;
        each(&cost);
        path.costs.push(cost);
    }
    Ok(path)
}
