//! The lab: what a network does with and without the agent beside it.
//!
//! Two namespaces on one bridge, all made by us in a namespace of our own, so that the agent sees these interfaces and no
//! others, and all is gone with this process. One sends, as fast as one CPU can: small datagrams of many flows, or one TCP
//! stream; the other takes them. Each measurement without the agent has one with it right beside it; the order changes from
//! pair to pair.

mod agent;
mod flood;
mod network;
mod plain;
mod receiver;
mod room;
mod stream;

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::{
    cpu::{self, Cpus},
    statistics::{Ratio, Spread},
};
use agent::{Agent, Metrics};
use network::Network;
use plain::Plain;

const FLOWS: [u32; 3] = [1000, 50_000, 500_000];
/// Flows of which nobody takes the packets, so that each is dropped.
const DROPPED_FLOWS: u32 = 1000;
/// Flows with which the bench's own programs stand where netwatch's do.
const PLAIN_FLOWS: u32 = 50_000;
/// These: one that does nothing, and one that finds a flow and does no more.
const PLAIN: [&str; 2] = ["empty", "least"];
/// Of the flows whose agent is watched for longer than the active timeout, by default 60 s.
const STEADY_FLOWS: u32 = 50_000;
const STEADY: Duration = Duration::from_secs(75);
/// Until all flows have come by, and the agent has read them.
const WARM_UP: Duration = Duration::from_secs(3);
const WINDOW: Duration = Duration::from_secs(3);
const STREAM_SECONDS: u64 = 4;
const FEWEST_PAIRS: usize = 6;
/// Half an interval this narrow needs no more pairs.
const CERTAIN: f64 = 0.005;

/// How the lab is run.
pub struct Options {
    /// The agent.
    pub program: PathBuf,
    /// Where its log goes.
    pub log: PathBuf,
    /// At most so many pairs of each kind.
    pub most_pairs: usize,
}

/// All results.
#[derive(Debug, Serialize)]
pub struct Lab {
    /// Datagrams of many flows.
    pub floods: Vec<Flood>,
    /// The same where the receiver's socket is full.
    pub dropped: Flood,
    /// The same with programs of the bench in place of the agent.
    pub plain: Vec<PlainFlood>,
    /// One TCP stream, in bits per second.
    pub stream: Pairs,
    /// The agent over a minute and more.
    pub steady: Steady,
}

/// A rate without and with the agent.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Pairs {
    /// Median without.
    pub without: f64,
    /// Median with.
    pub with: f64,
    /// With in parts of without.
    pub ratio: Ratio,
}

/// Datagrams of many flows.
#[derive(Debug, Serialize)]
pub struct Flood {
    /// How many.
    pub flows: u32,
    /// Packets that arrive per second.
    pub arrived: Pairs,
    /// Packets per second of CPU time of the sender, in which the kernel also does what it does with each packet: what others
    /// take from the CPU does not count.
    pub per_cpu_second: Pairs,
    /// The least part of what arrived that the receiver took in any run.
    pub received: f64,
    /// What the agent took, at the end of its last run.
    pub agent: Taken,
}

/// Datagrams of many flows, with a program of the bench.
#[derive(Debug, Serialize)]
pub struct PlainFlood {
    /// Which.
    pub program: &'static str,
    /// Flows.
    pub flows: u32,
    /// As in [`Flood`].
    pub arrived: Pairs,
    /// As in [`Flood`].
    pub per_cpu_second: Pairs,
}

/// What the agent takes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Taken {
    /// CPU time in parts of a core.
    pub cores: f64,
    /// Resident memory, with the maps as far as it has read them.
    pub resident_bytes: u64,
    /// Memory that is its own, without the maps.
    pub private_bytes: u64,
    /// Memory of the eBPF maps, as its own metric says.
    pub map_bytes: f64,
    /// The part of the packets that were seen and are in a flow.
    pub counted: f64,
}

/// The agent over more than its active timeout.
#[derive(Debug, Serialize)]
pub struct Steady {
    /// Flows.
    pub flows: u32,
    /// Seconds.
    pub seconds: u64,
    /// Packets that arrived per second meanwhile.
    pub arrived: f64,
    /// What it took.
    pub agent: Taken,
}

/// One measurement.
struct Run {
    arrived: f64,
    per_cpu_second: f64,
    received: f64,
    agent: Option<Taken>,
}

/// Measures everything; `say` gets a line of progress now and then.
pub fn measure(options: &Options, cpus: &Cpus, say: impl Fn(String)) -> Result<Lab> {
    cpu::new_network().context("making a network namespace")?;
    let network = Network::new(*cpus).context("making the lab's network")?;
    let bench = Bench { network, options, cpus: *cpus };
    let mut floods = Vec::new();
    for flows in FLOWS {
        say(format!("lab: {flows} flows"));
        floods.push(bench.floods(flows)?);
    }
    say(format!("lab: {DROPPED_FLOWS} flows, each packet dropped"));
    bench.network.receiver.pause(true);
    let dropped = bench.floods(DROPPED_FLOWS)?;
    bench.network.receiver.pause(false);
    let mut plain = Vec::new();
    for program in PLAIN {
        say(format!("lab: {PLAIN_FLOWS} flows, program {program}"));
        plain.push(bench.plain(program, PLAIN_FLOWS)?);
    }
    say("lab: one TCP stream".into());
    let stream = bench.streams()?;
    say(format!("lab: {STEADY_FLOWS} flows for {STEADY:?}"));
    let run = bench.with_agent(|agent| bench.flood(STEADY_FLOWS, STEADY, Some(agent)))?;
    let agent = run.agent.context("a run with an agent")?;
    let steady =
        Steady { flows: STEADY_FLOWS, seconds: STEADY.as_secs(), arrived: run.arrived, agent };
    Ok(Lab { floods, dropped, plain, stream, steady })
}

struct Bench<'a> {
    network: Network,
    options: &'a Options,
    cpus: Cpus,
}

impl Bench<'_> {
    fn floods(&self, flows: u32) -> Result<Flood> {
        let mut runs = Vec::new();
        let without = || self.flood(flows, WINDOW, None);
        let with = || self.with_agent(|agent| self.flood(flows, WINDOW, Some(agent)));
        self.pairs(&mut runs, without, with, |run| run.per_cpu_second)?;
        let agent = runs.last().and_then(|(_, with)| with.agent).context("no run with an agent")?;
        let received = runs.iter().flat_map(|(without, with)| [without.received, with.received]);
        Ok(Flood {
            flows,
            arrived: pairs(&runs, |run| run.arrived),
            per_cpu_second: pairs(&runs, |run| run.per_cpu_second),
            received: received.fold(1.0, f64::min),
            agent,
        })
    }

    fn plain(&self, program: &'static str, flows: u32) -> Result<PlainFlood> {
        let mut runs = Vec::new();
        let without = || self.flood(flows, WINDOW, None);
        let with = || {
            let _attached = Plain::attach(program)?;
            without()
        };
        self.pairs(&mut runs, without, with, |run| run.per_cpu_second)?;
        Ok(PlainFlood {
            program,
            flows,
            arrived: pairs(&runs, |run| run.arrived),
            per_cpu_second: pairs(&runs, |run| run.per_cpu_second),
        })
    }

    fn streams(&self) -> Result<Pairs> {
        let mut runs = Vec::new();
        let once = || stream::stream(&self.network, STREAM_SECONDS);
        self.pairs(&mut runs, once, || self.with_agent(|_| once()), |rate| *rate)?;
        Ok(pairs(&runs, |rate| *rate))
    }

    /// As many pairs as the noise asks for.
    fn pairs<T>(
        &self,
        runs: &mut Vec<(T, T)>,
        without: impl Fn() -> Result<T>,
        with: impl Fn() -> Result<T>,
        rate: impl Fn(&T) -> f64,
    ) -> Result<()> {
        while runs.len() < self.options.most_pairs {
            let pair = if runs.len().is_multiple_of(2) {
                let without = without()?;
                (without, with()?)
            } else {
                let with = with()?;
                (without()?, with)
            };
            runs.push(pair);
            if runs.len() >= FEWEST_PAIRS && pairs(runs, &rate).ratio.uncertainty() < CERTAIN {
                break;
            }
        }
        Ok(())
    }

    fn with_agent<T>(&self, run: impl FnOnce(&Agent) -> Result<T>) -> Result<T> {
        let agent = Agent::start(&self.options.program, &self.options.log)?;
        let result = run(&agent)?;
        agent.stop()?;
        Ok(result)
    }

    /// Sends for a while, measures for `window`, and asks the agent what that took.
    fn flood(&self, flows: u32, window: Duration, agent: Option<&Agent>) -> Result<Run> {
        let cpus = self.cpus;
        let until = Instant::now() + WARM_UP + window;
        let sender = self.network.from.start(move || {
            cpus.stay()?;
            let sent = flood::flood(flows, until);
            cpus.all()?;
            sent
        })?;
        thread::sleep(WARM_UP);
        let cpu = agent.map(Agent::cpu).transpose()?;
        let taken_before = self.network.receiver.taken();
        let (begin, before) = (Instant::now(), self.network.arrived()?);
        thread::sleep(window.saturating_sub(Duration::from_millis(50)));
        let (time, after) = (begin.elapsed().as_secs_f64(), self.network.arrived()?);
        let received = self.network.receiver.taken() - taken_before;
        let taken = match (agent, cpu) {
            (Some(agent), Some(cpu)) => {
                let cpu = agent.cpu()?.saturating_sub(cpu);
                Some(taken(agent, cpu.as_secs_f64() / time)?)
            }
            _ => None,
        };
        let sent = sender.recv().context("the sender has ended")??;
        Ok(Run {
            arrived: count(after - before) / time,
            per_cpu_second: count(sent.packets) / sent.cpu.as_secs_f64(),
            received: count(received) / count(after - before),
            agent: taken,
        })
    }
}

fn taken(agent: &Agent, cores: f64) -> Result<Taken> {
    let memory = agent.memory()?;
    let metrics = Metrics::scrape()?;
    let value = |series: &str| metrics.value(series).with_context(|| format!("no {series}"));
    let counted = value("netwatch_packet_outcomes_total{outcome=\"counted\"}")?;
    Ok(Taken {
        cores,
        resident_bytes: memory.resident,
        private_bytes: memory.private,
        map_bytes: value("netwatch_map_memory_bytes")?,
        counted: counted / value("netwatch_packets_seen_total")?,
    })
}

fn pairs<T>(runs: &[(T, T)], rate: impl Fn(&T) -> f64) -> Pairs {
    let rates: Vec<(f64, f64)> =
        runs.iter().map(|(without, with)| (rate(without), rate(with))).collect();
    Pairs {
        without: Spread::of(rates.iter().map(|pair| pair.0)).median,
        with: Spread::of(rates.iter().map(|pair| pair.1)).median,
        ratio: Ratio::of(&rates),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of packets are far below 2^52")]
fn count(packets: u64) -> f64 {
    packets as f64
}
