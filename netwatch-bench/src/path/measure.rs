//! Measures one case: all programs in turn, round after round, so that whatever disturbs the machine disturbs all.

use std::{thread, time::Duration};

use anyhow::{Result, ensure};
use serde::Serialize;

use super::{
    case::{Case, Renew},
    drive::Drive,
    kernel::{Kernel, Subject},
    packet::{self, Template},
};
use crate::{cpu::Cpus, statistics::Spread};

/// Packets between two visits of what does the agent's part: fewer than fit into the smallest ring, and than a reserve holds.
const BETWEEN_DRAINS: u32 = 5_000;

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
    /// The least that finding a flow can cost, net.
    pub least: Spread,
    /// netwatch at the ingress hook, net.
    pub ingress: Spread,
    /// netwatch at the egress hook, net.
    pub egress: Spread,
    /// The dearer of netwatch's two in costs of the yardstick.
    pub ratio: f64,
    /// The most that this may be.
    pub goal: Option<f64>,
    /// The share of netwatch's packets that sent another flow out of the table.
    pub evictions: f64,
    /// Packets, samples and messages that found a ring full, of all that netwatch was given: then the figure is of another path.
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

/// Adds up what netwatch has done over all loadings.
#[derive(Default)]
struct Sum {
    seen: u64,
    lost: u64,
    evictions: u64,
}

/// Measures a case.
pub fn measure(case: &Case, cpus: &Cpus) -> Result<Cost> {
    let Template { bytes, drive } = packet::template(case.kind, case.family, case.flows)?;
    let mut runs =
        Subject::ALL.map(|subject| Run { subject, drive, nanoseconds: Vec::new(), packets: 0 });
    let mut sum = Sum::default();
    let mut kernel = Kernel::load(case.configure)?;
    for round in 0..case.rounds {
        let all = match case.renew {
            Renew::Seldom => round % 10 == 0,
            Renew::Yardstick => false,
            Renew::All => true,
        };
        if all && round > 0 {
            settle(&kernel, &mut runs, &mut sum)?;
            kernel = Kernel::load(case.configure)?;
        } else if case.renew == Renew::Yardstick {
            kernel.renew_yardstick()?;
        }
        if all || case.renew == Renew::Yardstick {
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
    settle(&kernel, &mut runs, &mut sum)?;
    Ok(cost(case, &runs, &sum))
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
        Renew::Seldom => case.flows.max(1000),
        // Three times what it holds: hardly a place is left that was never used.
        Renew::Yardstick if fills => 200_000,
        _ => 0,
    };
    while packets > 0 {
        let part = packets.min(BETWEEN_DRAINS);
        kernel.run(run.subject, bytes, &mut run.drive, part)?;
        run.packets += u64::from(part);
        packets -= part;
        kernel.drain(cpus)?;
    }
    Ok(())
}

/// Makes sure that netwatch has seen every packet since the tables were loaded.
fn settle(kernel: &Kernel, runs: &mut [Run], sum: &mut Sum) -> Result<()> {
    let [ingress, egress] = kernel.done();
    for run in runs {
        let done = match run.subject {
            Subject::Ingress => ingress,
            Subject::Egress => egress,
            Subject::Empty | Subject::Yardstick | Subject::Least => {
                run.packets = 0;
                continue;
            }
        };
        let Run { subject, packets, .. } = run;
        ensure!(done.seen == *packets, "{subject:?} saw {} of {packets} packets", done.seen);
        sum.seen += done.seen;
        sum.lost += done.lost;
        sum.evictions += done.evictions;
        run.packets = 0;
    }
    Ok(())
}

fn cost(case: &Case, runs: &[Run; 5], sum: &Sum) -> Cost {
    let [empty, yardstick, least, ingress, egress] =
        runs.each_ref().map(|run| Spread::of(run.nanoseconds.iter().copied()));
    let [yardstick, least, ingress, egress] =
        [yardstick, least, ingress, egress].map(|gross| gross - empty);
    Cost {
        name: case.name.into(),
        flows: (case.flows != u32::MAX).then_some(case.flows),
        empty,
        yardstick,
        least,
        ingress,
        egress,
        ratio: ingress.decile.max(egress.decile) / yardstick.decile,
        goal: case.goal,
        evictions: share(sum.evictions, sum.seen),
        lost: sum.lost,
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of packets are far below 2^52")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}
