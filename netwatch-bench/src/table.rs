//! The results as text for a terminal.

use std::fmt::{self, Display, Write as _};

use crate::{
    lab::{Lab, Pairs},
    path::{Cost, Program},
    report::{Bound, Goal, Report, megabytes},
    statistics::Spread,
};

/// Above the lines of the packet path.
pub const PATH: &str = "\
Packet path, ns a packet: what a tenth of the rounds stayed below (and the median); all but `empty` net of `empty`.
case                         flows     empty      yardstick          least        ingress         egress  ratio  goal";

/// Behind a line of which each packet ends in a full socket.
const DROPPED: &str = "  each dropped";

/// One line of it.
pub fn path(cost: &Cost) -> impl Display {
    fmt::from_fn(move |f| {
        let flows = cost.flows.map_or("new".into(), |flows| flows.to_string());
        write!(f, "{:26} {flows:>7} {:>9.1}", cost.name, cost.empty.decile)?;
        for net in [cost.yardstick, cost.least, cost.ingress, cost.egress] {
            write!(f, " {:>14}", net_of_empty(net))?;
        }
        write!(f, "  {:>5.2}", cost.ratio)?;
        if let (Some(goal), Some(met)) = (cost.goal, cost.meets_goal()) {
            write!(f, "  {goal} {}", if met { "met" } else { "NOT MET" })?;
        }
        write!(f, "{}", remarks(cost))
    })
}

/// What keeps a figure from being what it seems.
pub fn remarks(cost: &Cost) -> String {
    let mut remarks = String::new();
    if cost.evictions > 0.001 {
        let _ = write!(remarks, "  ({:.1} % send another flow out)", cost.evictions * 100.0);
    }
    if cost.lost > 0 {
        let _ = write!(remarks, "  ({} found a ring full)", cost.lost);
    }
    remarks
}

/// The figure, with the median behind it.
pub fn net_of_empty(net: Spread) -> String {
    format!("{:.1} ({:.1})", net.decile, net.median)
}

/// Everything that does not come line by line.
pub fn rest(report: &Report) -> impl Display {
    fmt::from_fn(move |f| {
        if let Some(path) = &report.path {
            programs(f, &path.programs)?;
        }
        if let Some(lab) = &report.lab {
            self::lab(f, lab)?;
        }
        let missed: Vec<Goal> = report.goals().into_iter().filter(|goal| !goal.is_met()).collect();
        write!(f, "\n{} goals, {} missed", report.goals().len(), missed.len())?;
        missed.iter().try_for_each(|goal| write!(f, "\n  {}", self::goal(goal)))
    })
}

fn programs(f: &mut fmt::Formatter<'_>, programs: &[Program]) -> fmt::Result {
    writeln!(f, "\nprogram            instructions verified  left  machine code  stack")?;
    for program in programs {
        let verified = program.verified_instructions.map_or("?".into(), |count| count.to_string());
        writeln!(
            f,
            "{:18} {verified:>21} {:>5} {:>11} B {:>4} B",
            program.name, program.instructions, program.machine_code_bytes, program.stack_bytes
        )?;
    }
    Ok(())
}

fn lab(f: &mut fmt::Formatter<'_>, lab: &Lab) -> fmt::Result {
    writeln!(
        f,
        "\nlab           without       with  with/without, 95 %          agent: CPU  private  resident     maps  counted"
    )?;
    for (flood, what) in lab.floods.iter().map(|flood| (flood, "")).chain([(&lab.dropped, DROPPED)])
    {
        let agent = &flood.agent;
        writeln!(
            f,
            "{:>7} flows {}   {:>9.1} % {:>6.1} MB {:>6.1} MB {:>5.1} MB  {:>5.1} %{what}",
            flood.flows,
            pairs(&flood.arrived, 1e3, "k/s"),
            agent.cores * 100.0,
            megabytes(agent.private_bytes),
            megabytes(agent.resident_bytes),
            agent.map_bytes / 1e6,
            agent.counted * 100.0,
        )?;
        writeln!(
            f,
            "  a CPU second {}   {:.1} % taken",
            pairs(&flood.per_cpu_second, 1e3, "k"),
            flood.received * 100.0
        )?;
    }
    for flood in &lab.plain {
        writeln!(
            f,
            "{:>7} flows {}  {}",
            flood.flows,
            pairs(&flood.arrived, 1e3, "k/s"),
            flood.program
        )?;
        writeln!(f, "  a CPU second {}", pairs(&flood.per_cpu_second, 1e3, "k"))?;
    }
    writeln!(f, "  TCP stream {}", pairs(&lab.stream, 1e9, "Gb/s"))?;
    let steady = &lab.steady;
    writeln!(
        f,
        "{} flows for {} s at {:.0} packets/s: the agent takes {:.1} % of a core, {:.1} MB of private memory",
        steady.flows,
        steady.seconds,
        steady.arrived,
        steady.agent.cores * 100.0,
        megabytes(steady.agent.private_bytes)
    )
}

fn pairs(pairs: &Pairs, scale: f64, unit: &str) -> String {
    let ratio = pairs.ratio;
    format!(
        "{:>6.1} {unit} {:>6.1} {unit}  {:.3} ({:.3} to {:.3}, {} pairs)",
        pairs.without / scale,
        pairs.with / scale,
        ratio.mean,
        ratio.low,
        ratio.high,
        ratio.pairs
    )
}

/// `what: have, at most bound`.
pub fn goal(goal: &Goal) -> String {
    let (word, bound) = match goal.bound {
        Bound::AtMost(bound) => ("at most", bound),
        Bound::AtLeast(bound) => ("at least", bound),
    };
    format!("{}: {:.2} {}, {word} {bound}", goal.what, goal.have, goal.unit)
}
