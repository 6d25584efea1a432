//! All that a run has found, and the goals it is held against.

use serde::Serialize;

use crate::{lab::Lab, machine::Machine, path::Path};

/// A run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// The packet path.
    pub path: Option<Path>,
    /// The lab.
    pub lab: Option<Lab>,
}

/// One figure and its bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    /// Of what.
    pub what: String,
    /// What was measured.
    pub have: f64,
    /// What it is held against.
    pub bound: Bound,
    /// In words: "ns", "MB" …
    pub unit: &'static str,
}

/// Which side is good.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// No more than this.
    AtMost(f64),
    /// No less.
    AtLeast(f64),
}

impl Goal {
    /// Whether the figure keeps to the bound.
    pub fn is_met(&self) -> bool {
        match self.bound {
            Bound::AtMost(bound) => self.have <= bound,
            Bound::AtLeast(bound) => self.have >= bound,
        }
    }
}

/// The flows for which the agent has goals.
const LAB_FLOWS: u32 = 50_000;

impl Report {
    /// All goals that this run says something about.
    pub fn goals(&self) -> Vec<Goal> {
        let mut goals = Vec::new();
        for cost in self.path.iter().flat_map(|path| &path.costs) {
            if let Some(bound) = cost.goal {
                let flows = cost.flows.map_or(String::new(), |flows| format!(", {flows} flows"));
                goals.push(Goal {
                    what: format!("{}{flows}", cost.name),
                    have: cost.ratio,
                    bound: Bound::AtMost(bound),
                    unit: "× the yardstick",
                });
            }
        }
        let Some(lab) = &self.lab else { return goals };
        let mut goal = |what: &str, have: f64, bound, unit| {
            goals.push(Goal { what: format!("{what}, {LAB_FLOWS} flows"), have, bound, unit });
        };
        for flood in lab.floods.iter().filter(|flood| flood.flows == LAB_FLOWS) {
            let percent = flood.arrived.ratio.mean * 100.0;
            goal("throughput with the agent", percent, Bound::AtLeast(97.0), "%");
        }
        let agent = lab.steady.agent;
        goal("private memory", megabytes(agent.private_bytes), Bound::AtMost(40.0), "MB");
        goal("eBPF maps", agent.map_bytes / 1e6, Bound::AtMost(32.0), "MB");
        goal("agent's CPU", agent.cores * 100.0, Bound::AtMost(5.0), "% of a core");
        goals
    }
}

/// Decimal megabytes.
#[expect(clippy::cast_precision_loss, reason = "for people")]
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
