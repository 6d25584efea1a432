//! Measures one case: all programs in turn, round after round, so that whatever disturbs the machine disturbs all.

use std::{thread, time::Duration};

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::{
    case::{Case, Renew},
    cpu::Cpus,
    drive::Drive,
    kernel::{Kernel, Subject},
    packet::{self, Template},
    statistics::Spread,
};

/// Packets between two drains of the rings: fewer than fit into the smallest.
const BETWEEN_DRAINS: u32 = 20_000;

/// The kernel's RCU grace period and the freeing after it, amply.
const GRACE: Duration = Duration::from_millis(100);

/// What one case costs, in nanoseconds a packet.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    /// The packets.
    pub name: String,
    /// Flows that took turns; `None`: each packet was of a new one.
    pub flows: Option<u32>,
    /// The loop, the driver and the empty program.
    pub empty: Spread,
    /// The yardstick, net of that.
    pub yardstick: Spread,
    /// netwatch at the ingress hook, net.
    pub ingress: Spread,
    /// netwatch at the egress hook, net.
    pub egress: Spread,
    /// The dearer of netwatch's two in costs of the yardstick.
    pub ratio: f64,
    /// The most that this may be.
    pub goal: Option<f64>,
    /// Packets and samples that found a ring full, of all that netwatch was given: then the figure is of another path.
    pub lost: u64,
}

impl Cost {
    /// Whether the goal is met, where there is one.
    pub fn meets_goal(&self) -> Option<bool> {
        self.goal.map(|goal| self.ratio <= goal)
    }
}

/// One program in one case.
struct Run {
    subject: Subject,
    drive: Drive,
    nanoseconds: Vec<f64>,
    /// Packets since the tables were loaded.
    packets: u64,
}

/// Measures a case.
pub fn measure(case: &Case, cpus: &Cpus) -> Result<Cost> {
    let Template { bytes, drive } = packet::template(case.kind, case.family, case.flows)?;
    let mut runs =
        Subject::ALL.map(|subject| Run { subject, drive, nanoseconds: Vec::new(), packets: 0 });
    let mut kernel = prepared(case)?;
    let mut lost = 0;
    for round in 0..case.rounds {
        match case.renew {
            Renew::All if round > 0 => {
                lost += settle(&mut kernel, &mut runs)?;
                kernel = prepared(case)?;
            }
            Renew::Yardstick if round > 0 => kernel.renew_yardstick()?,
            _ => {}
        }
        if case.renew != Renew::Never {
            // What was dropped is freed after a while, by whoever is interrupted then.
            thread::sleep(GRACE);
        }
        for turn in 0..runs.len() {
            // Each round begins with another one: whoever follows a heavy one does not always do.
            let run = &mut runs[(turn + round as usize) % Subject::ALL.len()];
            warm_up(&mut kernel, cpus, case, run, &bytes)?;
            let time = kernel.run(run.subject, &bytes, &mut run.drive, case.batch)?;
            run.packets += u64::from(case.batch);
            run.nanoseconds.push(time.as_secs_f64() * 1e9 / f64::from(case.batch));
        }
        kernel.drain(cpus)?;
    }
    lost += settle(&mut kernel, &mut runs)?;
    Ok(cost(case, &runs, lost))
}

fn prepared(case: &Case) -> Result<Kernel> {
    let mut kernel = Kernel::load()?;
    for datapath in kernel.datapaths() {
        (case.prepare)(datapath);
    }
    Ok(kernel)
}

/// Once around all flows, or, with flows that are always new, a table full of them where that is the case.
fn warm_up(
    kernel: &mut Kernel,
    cpus: &Cpus,
    case: &Case,
    run: &mut Run,
    bytes: &[u8],
) -> Result<()> {
    let fills =
        case.renew == Renew::Yardstick && run.packets == 0 && run.subject != Subject::Yardstick;
    let mut packets = match case.renew {
        Renew::Never => case.flows.max(1000),
        // Three times what it holds: hardly a place is left that was never used.
        Renew::Yardstick if fills => 200_000,
        _ => 0,
    };
    while packets > 0 {
        let part = packets.min(if case.evicts { BETWEEN_DRAINS } else { packets });
        kernel.run(run.subject, bytes, &mut run.drive, part)?;
        run.packets += u64::from(part);
        packets -= part;
        if case.evicts {
            kernel.drain(cpus)?;
        }
    }
    Ok(())
}

/// Makes sure that netwatch has seen every packet, and answers with how many it or a ring could not keep.
fn settle(kernel: &mut Kernel, runs: &mut [Run]) -> Result<u64> {
    let [ingress, egress] = kernel.seen_and_lost();
    for run in runs.iter_mut() {
        let seen = match run.subject {
            Subject::Ingress => ingress.0,
            Subject::Egress => egress.0,
            _ => run.packets,
        };
        ensure!(seen == run.packets, "{:?} saw {seen} of {} packets", run.subject, run.packets);
        run.packets = 0;
    }
    Ok(ingress.1 + egress.1)
}

fn cost(case: &Case, runs: &[Run; 4], lost: u64) -> Cost {
    let [empty, yardstick, ingress, egress] =
        runs.each_ref().map(|run| Spread::of(run.nanoseconds.iter().copied()));
    let (yardstick, ingress, egress) = (yardstick - empty, ingress - empty, egress - empty);
    Cost {
        name: case.name.into(),
        flows: (case.flows != u32::MAX).then_some(case.flows),
        empty,
        yardstick,
        ingress,
        egress,
        ratio: ingress.decile.max(egress.decile) / yardstick.decile,
        goal: case.goal,
        lost,
    }
}
