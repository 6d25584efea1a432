//! What the agent tells of: an event with the clock that was right when it was made, shared by the flow log and the
//! history.

use std::{io, net::IpAddr};

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::{flow_log::Line, folding::ForReader};
use crate::{
    model::{
        Clock, EndReason, Endpoint, FlowDrop, FlowEvent, FlowPhase, FlowRecord, Fold, Gap,
        LifeEvent, Lookup, Loss, Name, SampleEvent, Seen,
    },
    output::{Format, Formatter, Record},
    serve::flows::{self, Event, Facts, FlowName, Kind, Style, Totals},
};

/// What a piece of memory takes: glibc's malloc keeps eight bytes of each for itself, and rounds up.
fn piece(size: usize) -> usize {
    if size == 0 { 0 } else { (size + 8).next_multiple_of(16).max(32) }
}

/// An event, and the clock by which its times are.
#[derive(Serialize, Deserialize)]
pub struct Told {
    pub(super) line: Line,
    pub(super) clock: Clock,
}

impl Told {
    /// Appends the line. An error leaves `out` as it was.
    pub(super) fn format(&self, formatter: &Formatter, out: &mut Vec<u8>) -> io::Result<()> {
        match &self.line {
            Line::Flow(event) => formatter.flow(event, self.clock, out),
            Line::Fold(fold) => formatter.fold(fold, self.clock, out),
            Line::Loss(loss) => formatter.loss(loss, self.clock, out),
            Line::Lookup(lookup) => formatter.lookup(lookup, self.clock, out),
            Line::Sample(event) => formatter.sample(event, self.clock, out),
            Line::Life(event) => formatter.life(event, self.clock, out),
            Line::Gap(gap) => formatter.gap(gap, self.clock, out),
        }
    }
}

impl From<(Record, Clock)> for Told {
    fn from((record, clock): (Record, Clock)) -> Self {
        let line = match record {
            Record::Flow(event) => Line::Flow(event),
            Record::Fold(fold) => Line::Fold(fold),
            Record::Loss(loss) => Line::Loss(loss),
            Record::Lookup(lookup) => Line::Lookup(lookup),
            Record::Sample(event) => Line::Sample(event),
            Record::Life(event) => Line::Life(event),
            Record::Gap(gap) => Line::Gap(gap),
        };
        Self { line, clock }
    }
}

impl Event for Told {
    type Folder = ForReader<Self>;

    fn facts(&self) -> Facts<'_> {
        match &self.line {
            Line::Flow(event) => Facts {
                kind: match event.phase {
                    FlowPhase::Start => Kind::Start,
                    FlowPhase::Update => Kind::Update,
                    FlowPhase::End(_) => Kind::End,
                },
                time: self.clock.wall(event.time),
                protocol: Some(event.flow.protocol),
                ends: Some((&event.flow.client, &event.flow.server)),
                via: event.flow.translation.and_then(|known| known.via()),
                containers: [None; 2],
                network: event.flow.network.as_deref(),
                drops: !event.flow.drops.is_empty() || event.flow.undelivered.is_some(),
                flow: Some(event.flow.id),
            },
            Line::Fold(fold) => Facts {
                kind: Kind::End,
                time: self.clock.wall(fold.sum.last),
                protocol: Some(fold.sum.protocol),
                ends: Some((&fold.sum.client, &fold.sum.server)),
                via: fold.sum.translation.and_then(|known| known.via()),
                containers: [None; 2],
                network: fold.sum.network.as_deref(),
                drops: !fold.sum.drops.is_empty() || fold.sum.undelivered.is_some(),
                flow: None,
            },
            Line::Loss(Loss { time, .. }) => Facts {
                kind: Kind::Lost,
                time: self.clock.wall(*time),
                protocol: None,
                ends: None,
                via: None,
                containers: [None; 2],
                network: None,
                drops: false,
                flow: None,
            },
            Line::Gap(Gap { time, .. }) => Facts {
                kind: Kind::Gap,
                time: self.clock.wall(*time),
                protocol: None,
                ends: None,
                via: None,
                containers: [None; 2],
                network: None,
                drops: false,
                flow: None,
            },
            Line::Lookup(lookup) => Facts {
                kind: Kind::Dns,
                time: self.clock.wall(lookup.time),
                protocol: Some(lookup.protocol),
                ends: Some((&lookup.client, &lookup.server)),
                via: None,
                containers: [None; 2],
                network: lookup.network.as_deref(),
                drops: false,
                flow: None,
            },
            Line::Life(event) => Facts {
                kind: if event.change.is_beginning() { Kind::Restart } else { Kind::Event },
                time: self.clock.wall(event.time),
                protocol: None,
                ends: None,
                via: None,
                containers: event.containers(),
                network: event.network.as_deref(),
                drops: false,
                flow: None,
            },
            Line::Sample(event) => {
                let packet = event.packet.as_ref().ok();
                Facts {
                    kind: Kind::Sample,
                    time: self.clock.wall(event.sample.time),
                    protocol: packet.map(|packet| packet.protocol),
                    ends: packet.map(|packet| (&packet.source, &packet.destination)),
                    via: None,
                    containers: [None; 2],
                    network: event.network.as_deref(),
                    drops: false,
                    flow: None,
                }
            }
        }
    }

    fn totals(&self) -> Option<Totals> {
        let (flow, id, is_late) = match &self.line {
            Line::Flow(event) => {
                (&event.flow, event.flow.id, event.phase == FlowPhase::End(EndReason::Late))
            }
            // It has no number: its begin is as good.
            Line::Fold(fold) => {
                let begin = self.clock.wall(fold.sum.first).0;
                (&fold.sum, u64::try_from(begin).unwrap_or(0), false)
            }
            _ => return None,
        };
        let missing = flow.undelivered.as_ref();
        let undelivered =
            missing.map_or(0, |missing| missing.from_client.saturating_add(missing.from_server));
        Some(Totals {
            flow: FlowName { id, is_late, ends: [flow.client.socket, flow.server.socket] },
            bytes: flow.sent.bytes.saturating_add(flow.received.bytes),
            packets: flow.sent.segments.saturating_add(flow.received.segments),
            duration_ns: flow.last.0.saturating_sub(flow.first.0),
            // Most of what was dropped did not arrive either.
            drops: flow.dropped().max(undelivered),
        })
    }

    /// Names of containers, networks and reasons are shared with others, and not counted.
    fn bytes(&self) -> usize {
        let more = match &self.line {
            Line::Flow(event) => piece(size_of::<FlowEvent>()) + record(&event.flow),
            Line::Fold(fold) => piece(size_of::<Fold>()) + record(&fold.sum),
            Line::Loss(_) | Line::Gap(_) => 0,
            Line::Lookup(lookup) => {
                let question = lookup.question.as_ref();
                piece(size_of::<Lookup>())
                    + question.map_or(0, |asked| owned(&asked.name) + owned(&asked.kind))
                    + lookup.answer.as_ref().map_or(0, |answer| {
                        piece(answer.addresses.capacity() * size_of::<IpAddr>())
                    })
                    + name(&lookup.client)
                    + name(&lookup.server)
            }
            Line::Life(event) => {
                let appearances = [Some(&event.now), event.before.as_ref()];
                let veths = |veths: &Vec<String>| {
                    piece(veths.capacity() * size_of::<String>())
                        + veths.iter().map(owned).sum::<usize>()
                };
                piece(size_of::<LifeEvent>())
                    + appearances.into_iter().flatten().map(|one| veths(&one.veths)).sum::<usize>()
            }
            Line::Sample(event) => {
                piece(size_of::<SampleEvent>())
                    + piece(event.sample.bytes.len())
                    + event.interface.as_ref().map_or(0, owned)
                    + event
                        .packet
                        .as_ref()
                        .map_or(0, |packet| name(&packet.source) + name(&packet.destination))
            }
        };
        // The two counters of its `Arc` are beside it.
        piece(2 * size_of::<usize>() + size_of::<Self>()) + more
    }

    fn write(&self, style: Style, out: &mut Vec<u8>) -> io::Result<()> {
        self.format(&formatter(style), out)
    }

    fn header(style: Style) -> Option<String> {
        formatter(style).header()
    }
}

fn formatter(style: Style) -> Formatter {
    let format = match style.format {
        flows::Format::Text | flows::Format::Wide => Format::Text,
        flows::Format::Json => Format::Json,
        flows::Format::Csv => Format::Csv,
    };
    Formatter {
        wide: style.format == flows::Format::Wide,
        colour: style.colour,
        ..Formatter::new(format, TimeZone::system())
    }
}

/// What a flow's record owns.
fn record(flow: &FlowRecord) -> usize {
    let place = flow.undelivered.as_ref().and_then(|missing| missing.place.as_ref());
    piece(flow.seen.capacity() * size_of::<Seen>())
        + piece(flow.drops.capacity() * size_of::<FlowDrop>())
        + place.map_or(0, owned)
        + name(&flow.client)
        + name(&flow.server)
}

/// What a text takes.
fn owned(text: &String) -> usize {
    piece(text.capacity())
}

/// What a name owns.
fn name(end: &Endpoint) -> usize {
    match &end.name {
        Name::Interface(name) => owned(name),
        // Shared as long as it is believed; then its last flows are all that keep it.
        Name::Domain(name) => piece(2 * size_of::<usize>() + name.len()),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output;

    /// What the golden files have of an agent's lines, as an agent has them.
    fn told(name: &str) -> Vec<Told> {
        let path = format!("{}/src/output/testdata/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
        let lines = std::fs::read_to_string(path).unwrap();
        let line = |line: &str| Told::from(output::read(line.as_bytes()).unwrap());
        lines.lines().map(line).collect()
    }

    #[test]
    fn what_the_history_packs_is_told_as_before() {
        for name in ["corners", "example", "folds", "hostile", "lives", "lookups", "samples"] {
            let events = told(name);
            let bytes = postcard::to_allocvec(&events).unwrap();
            let again: Vec<Told> = postcard::from_bytes(&bytes).unwrap();
            assert!(!events.is_empty() && again.len() == events.len());
            for format in [Format::Text, Format::Json, Format::Csv] {
                let formatter = Formatter { wide: true, ..Formatter::new(format, TimeZone::UTC) };
                for (before, after) in events.iter().zip(&again) {
                    let [before, after] = [before, after].map(|told| {
                        let mut line = Vec::new();
                        told.format(&formatter, &mut line).unwrap();
                        String::from_utf8(line).unwrap()
                    });
                    assert_eq!(before, after);
                }
            }
        }
    }
}
