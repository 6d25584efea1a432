//! What the kernel side has counted, seen and dropped, handed out.

use netwatch_common::outcome::{OUTCOME_STRIDE, Outcome};

use super::{Datapath, DropStatus, abi};
use crate::model::{
    DropCount, DroppedPacket, InterfaceCounters, Message, Observation, Sample, Tally,
};

impl Datapath {
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
        self.samples.drain(|record| {
            if let Some(sample) = abi::sample(record) {
                each(sample);
            }
        });
    }

    /// Hands out the DNS messages that have come since the last call.
    pub fn read_messages(&mut self, mut each: impl FnMut(Message)) {
        self.messages.drain(|record| {
            if let Some(message) = abi::message(record) {
                each(message);
            }
        });
    }

    /// Whether drops are counted.
    pub fn counts_drops(&self) -> bool {
        self.drops.is_running()
    }

    /// All drops that have been counted.
    pub fn dropped(&self) -> u64 {
        self.drops.counted()
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
}
