//! What the core tells the flow log: of flows, with their names, and of packets that are in none.

use netwatch_common::outcome::Outcome;

use super::{
    core::Core,
    flow_log::{FlowLog, Line},
    naming,
};
use crate::{
    flow::{Naming, Report, Tracker, Unnamed},
    model::{Clock, FlowEvent, Instant, Loss, Tally},
};

/// Events that are put in the order of their times before they are told. They are in memory beside the history.
const SORTED: usize = 1_024;
/// Outcomes that mean that a figure is incomplete. The others (ARP, say) are no loss.
const LOSSES: [Outcome; 5] = [
    Outcome::FlowTableFull,
    Outcome::FlowEntryBusy,
    Outcome::UnknownInterface,
    Outcome::FlowLimit,
    Outcome::AgentRestart,
];

impl Core {
    /// Lets the tracker report to the flow log, with names from the directory.
    pub(super) fn tell(
        &mut self,
        now: Instant,
        step: impl FnOnce(
            &mut Tracker,
            Instant,
            &mut dyn FnMut(&Unnamed<'_>) -> Naming,
            &mut dyn FnMut(&Report<'_>),
        ),
    ) -> usize {
        let Self {
            tracker, directory, domains, delivery, timing, crossed, flow_log, clock, ..
        } = self;
        let has_reader = flow_log.has_reader();
        let mut events: Vec<Box<FlowEvent>> = Vec::new();
        let mut count = 0;
        let mut name = |flow: &Unnamed<'_>| naming::name(directory, domains, flow);
        step(tracker, now, &mut name, &mut |report| {
            if has_reader || report.is_end() {
                // In the place where it stays: thousands side by side, soon gone, would leave a hole between those that stay.
                let mut event = Box::new(report.event());
                delivery.settle(&mut event, directory);
                if report.is_end() {
                    timing.ended(&event, *clock);
                }
                crossed.name(&mut event.flow, directory);
                events.push(event);
                count += 1;
            }
            if events.len() == SORTED {
                write(flow_log, &mut events, *clock);
            }
        });
        write(flow_log, &mut events, *clock);
        count
    }

    /// Lines for packets that no flow has, since the last such line.
    pub(super) fn tell_losses(&mut self, now: Instant) {
        for (outcome, tally) in self.outcomes() {
            if !LOSSES.contains(&outcome) {
                continue;
            }
            let new = tally.since(self.told.get(&outcome).copied().unwrap_or_default());
            if !new.is_zero() {
                self.told.insert(outcome, tally);
                self.delivery.is_incomplete(now);
                self.flow_log
                    .write(Line::Loss(Loss { time: now, outcome, tally: new }), self.clock);
            }
        }
    }

    /// Why packets are in no flow: those of the kernel side, those that the tracker had no room for, and those
    /// that an earlier agent has forgotten.
    pub(super) fn outcomes(&self) -> Vec<(Outcome, Tally)> {
        let mut outcomes = self.datapath.outcomes();
        for (outcome, tally) in &mut outcomes {
            match *outcome {
                Outcome::FlowLimit => *tally += self.tracker.over_limit(),
                Outcome::AgentRestart => *tally += self.keeping.forgotten(),
                _ => {}
            }
        }
        outcomes
    }
}

/// Flows are walked in no order; a reader expects time's.
#[expect(clippy::vec_box, reason = "each stays where it was made, in the history")]
fn write(flow_log: &mut FlowLog, events: &mut Vec<Box<FlowEvent>>, clock: Clock) {
    events.sort_by_key(|event| event.time);
    for event in events.drain(..) {
        flow_log.write(Line::Flow(event), clock);
    }
}
