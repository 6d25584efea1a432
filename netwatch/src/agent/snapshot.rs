//! All counters at one moment, for a scrape.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use super::{
    core::{Core, engine_up},
    journal, process,
};
use crate::model::{
    AgentStatus, InterfaceSnapshot, ReaderStatus, ScrapeStatus, Snapshot, WebStatus,
};

impl Core {
    /// Reads everything that counts, flows included, so that a scrape shows what has passed until now.
    pub(super) fn snapshot(&mut self) -> Snapshot {
        let begin = Instant::now();
        // Flows before outcomes and totals: what comes in between is seen and not yet counted, never the reverse.
        self.read_flows();
        self.read_rings();
        self.settle_messages();
        self.settle_drops();
        let attached = self.datapath.attached();
        for index in &attached {
            self.settle(*index);
        }
        let interfaces = attached.iter().filter_map(|index| self.interface(*index)).collect();
        let (other_interfaces, folded_interfaces) = self.ports.others();
        let outcomes = self.outcomes();
        let mut snapshot = Snapshot {
            interfaces,
            other_interfaces,
            folded: [("container", self.accounts.folded()), ("interface", folded_interfaces)],
            shares: self.shares,
            containers: self.accounts.snapshot(),
            sizes: self.sizes.snapshot(),
            dns: self.dns.counts(),
            known: self.directory.containers().cloned().collect(),
            labelled: self.labelled.all(),
            out_of_sight: self
                .directory
                .containers()
                .flat_map(|container| {
                    let unseen = self.directory.out_of_sight(container);
                    unseen.into_iter().map(|one| (Arc::clone(container), one))
                })
                .collect(),
            edges: self.tracker.edges().snapshot(),
            edges_folded: self.tracker.edges().folded(),
            dropped: self.dropping.totals(),
            undelivered: self.delivery.totals(self.clock),
            times: self.timing.snapshot(),
            seen: self.datapath.seen(),
            outcomes,
            flows: self.tracker.totals(),
            agent: self.status(attached.len() as u64),
        };
        let age = begin.elapsed();
        self.scrapes.0 += 1;
        self.scrapes.1 += age;
        let (scrapes, time) = self.scrapes;
        snapshot.agent.scrape = ScrapeStatus { scrapes, time, age };
        snapshot
    }

    /// An interface that has series of its own.
    fn interface(&mut self, index: u32) -> Option<InterfaceSnapshot> {
        let counters = self.ports.settle(index, self.datapath.counters(index)?)?;
        Some(InterfaceSnapshot {
            interface: self.directory.interface(index)?.clone(),
            container: self.directory.container_of_interface(index),
            network: self.directory.network_of_interface(index),
            counters,
        })
    }

    fn readers(&self) -> ReaderStatus {
        let (lines, lost) = self.counted.readers.lines();
        ReaderStatus {
            connected: self.counted.readers.readers(),
            refused: self.counted.readers.refusals(),
            lines,
            lost,
        }
    }

    fn web(&self) -> WebStatus {
        WebStatus {
            requests: self.counted.web.requests().collect(),
            displaced: self.counted.web.displaced(),
            cut: self.counted.web.cut(),
            handshakes_failed: self.counted.web.handshakes_failed(),
            settings_failed: self.counted.web.settings_failed(),
            settings_good: self.counted.web.settings_are_good(),
        }
    }

    fn status(&self, attached: u64) -> AgentStatus {
        let kernel = self.datapath.status();
        let drops = self.datapath.drop_status();
        let log = self.flow_log.status();
        AgentStatus {
            engine_up: engine_up(self.directory.engine()),
            attach: self.attaching.status(attached),
            features: [
                self.dropping.features(&self.datapath),
                vec![self.joining.feature()],
                self.confined.clone(),
            ]
            .concat(),
            conntrack_overruns: self.joining.overruns(),
            link_overruns: self.counted.links.overruns.load(Ordering::Relaxed),
            away: self.keeping.away(),
            programs: self.datapath.program_runs(),
            flow_entries: (kernel.flow_entries, kernel.flow_capacity),
            map_bytes: kernel.map_bytes,
            rings: self.datapath.rings().into(),
            evictions: kernel.evictions,
            samples: kernel.samples,
            samples_lost: kernel.samples_lost,
            messages: kernel.messages,
            messages_lost: [
                ("rate-limit", kernel.messages_over_rate),
                ("ring-full", kernel.messages_lost),
                ("unreadable", self.dns.unreadable()),
            ],
            drop_details_lost: drops.details_lost,
            drops_missed: drops.missed,
            log_up: log.up,
            log_lines: log.written,
            log_lines_lost: log.lost,
            journal_lines_lost: journal::lost(),
            log_rotations: log.rotations,
            readers: self.readers(),
            web: self.web(),
            scrape: ScrapeStatus::default(),
            stages: self.stages.status(),
            process: process::status(),
        }
    }
}
