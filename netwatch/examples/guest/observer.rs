//! netwatch's own side: the datapath, and all that it has handed out.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context as _, Result, ensure};
use netwatch::{
    datapath::{AttachMode, Datapath, Options, monotonic_now},
    flow::{Edges, Limits, Names, Naming, Report, Tracker, Unnamed},
    model::{EntrySide, FlowEvent, InterfaceKind, Name, Tally},
};
use netwatch_common::outcome::Outcome;

use crate::{network::Node, witness::Way};

/// The datapath with a tracker behind it, and what both have counted.
pub struct Observer {
    datapath: Datapath,
    tracker: Tracker,
    /// By interface, hook and way.
    flows: HashMap<(u32, EntrySide, Way), Tally>,
    counted: Tally,
}

impl Observer {
    /// The programs in the kernel, not attached yet.
    pub fn load(options: &Options) -> Result<Self> {
        let limits = Limits {
            idle: Duration::from_mins(1),
            active: Duration::from_mins(10),
            max_flows: 10_000,
        };
        Ok(Self {
            datapath: Datapath::load(options)?,
            tracker: Tracker::new(limits, Edges::new(100)),
            flows: HashMap::new(),
            counted: Tally::ZERO,
        })
    }

    pub fn datapath(&mut self) -> &mut Datapath {
        &mut self.datapath
    }

    /// Attaches to where a node's packets pass.
    pub fn attach(&mut self, node: &Node) -> Result<()> {
        let (name, index) = node.outside;
        self.datapath.attach(index, name, node.kind()).with_context(|| name.to_string())
    }

    /// Takes the programs off again; they have to have counted what the flows say.
    pub fn detach(&mut self, node: &Node) -> Result<()> {
        self.read();
        let (name, index) = node.outside;
        let counters =
            self.datapath.detach(index).with_context(|| format!("{name}: not attached"))?;
        ensure!(!counters.receive.tally.is_zero(), "{name} has received nothing");
        ensure!(!self.datapath.is_attached(index), "{name} is still attached");
        Ok(())
    }

    /// Reads the flows.
    pub fn read(&mut self) {
        let Self { datapath, tracker, flows, counted } = self;
        datapath.refresh_clock();
        datapath.read_flows(|observation| {
            tracker.observe(&observation, |_| ());
            let out = Way {
                source: observation.local,
                destination: observation.remote,
                protocol: observation.protocol,
            };
            let sides = [
                (EntrySide::Ingress, out, observation.ingress.new),
                (EntrySide::Egress, out.back(), observation.egress.new),
            ];
            for (side, way, new) in sides {
                *flows.entry((observation.ifindex, side, way)).or_default() += new;
                // What is in a tunnel has been counted with the tunnel.
                *counted += if observation.is_inner { Tally::ZERO } else { new };
            }
        });
    }

    /// What the hook has counted that a node's packets of this way pass: those that it sends, or those that it is sent.
    pub fn count(&self, node: &Node, sent: bool, way: Way) -> Tally {
        let side = match (node.kind() == InterfaceKind::Bridge, sent) {
            (false, true) | (true, false) => EntrySide::Ingress,
            (false, false) | (true, true) => EntrySide::Egress,
        };
        self.flows.get(&(node.outside.1, side, way)).copied().unwrap_or_default()
    }

    pub fn outcome(&self, wanted: Outcome) -> Tally {
        let all = self.datapath.outcomes();
        all.iter().find(|(outcome, _)| *outcome == wanted).map_or(Tally::ZERO, |(_, tally)| *tally)
    }

    /// `seen = counted in a flow + each outcome`; `None` where it is so, else both sides. Reads the flows first.
    pub fn imbalance(&mut self) -> Option<String> {
        self.read();
        let (seen, outcomes) = (self.datapath.seen(), self.datapath.outcomes());
        let uncounted = outcomes.iter().fold(Tally::ZERO, |sum, (_, tally)| sum + *tally);
        (seen != self.counted + uncounted)
            .then(|| format!("seen {seen:?}, in flows {:?}, outcomes {uncounted:?}", self.counted))
    }

    pub fn counted(&self) -> Tally {
        self.counted
    }

    /// Every flow of the tracker's, each packet counted once. It is empty afterwards.
    pub fn finish(&mut self) -> Vec<FlowEvent> {
        self.read();
        let mut events = Vec::new();
        let mut report = |report: &Report<'_>| events.push(report.event());
        self.tracker.finish(monotonic_now(), &mut nameless, &mut report);
        events
    }

    /// What the tracker has taken up.
    pub fn tracked(&self) -> Tally {
        self.tracker.totals().counted
    }
}

/// How the programs are loaded, but for what a scenario wants otherwise.
pub fn options() -> Options {
    Options {
        flow_entries: 1 << 14,
        sample_rate: 1,
        sample_length: 128,
        dns_rate: 1_000,
        exclusion: netwatch::model::Exclusion::default(),
        attach_mode: AttachMode::Auto,
        messages: false,
        pins: None,
        inheritance: None,
    }
}

fn nameless(_: &Unnamed<'_>) -> Naming {
    Naming::Final(Names {
        client: Name::External,
        server: Name::External,
        behind: None,
        network: None,
    })
}
