//! What the engine says, and what is told of it: containers that come, go and change.

use tracing::{debug, info};

use super::{core::Core, flow_log::Line};
use crate::{
    datapath::monotonic_now,
    identity::{EngineEvent, EngineState, What, namespace_id_of_pid},
    model::{Change, Instant, Interface, LifeEvent, Unseen},
};

impl Core {
    pub(super) fn on_engine(&mut self, event: &EngineEvent) {
        let now = monotonic_now();
        if let EngineEvent::Happened(happening) = event {
            // Neither before the machine was started nor after now: lines go by this clock.
            let time = happening.at.map_or(now, |at| self.clock.instant(at).min(now));
            if let What::Connected(network) = &happening.what {
                let before = happening.before.map(|at| self.clock.instant(at));
                self.directory.arrive(&happening.container, network, before, time);
            }
            self.chronicle.happened(happening, &self.directory, time, now);
            self.directory.happened(&happening.container.id, &happening.what, time);
        }
        self.directory.apply_engine(event, now);
        self.labelled.learn(&self.directory);
        self.directory.place(namespace_id_of_pid);
        self.follow_namespaces();
        match event {
            EngineEvent::Up { version, api, endpoint } => {
                info!(version, api, endpoint, "container engine");
            }
            EngineEvent::Networks(_) => {
                // A bridge whose name says nothing may be the engine's all the same.
                let interfaces: Vec<Interface> = self.directory.interfaces().cloned().collect();
                for interface in &interfaces {
                    self.consider(interface);
                }
                self.tell_readiness();
            }
            EngineEvent::Containers(containers) => self.chronicle.list(containers, now),
            _ => {}
        }
        if self.directory.engine() == EngineState::Down {
            debug!("names are interface names and addresses until the engine is back");
        }
        self.tell_lives(now);
    }

    /// Tells what has happened to containers and is complete, or has waited long enough.
    pub(super) fn tell_lives(&mut self, now: Instant) {
        for event in self.chronicle.settle(&self.directory, now) {
            if event.change == Change::OutOfSight {
                log_out_of_sight(&event);
            }
            self.flow_log.write(Line::Life(Box::new(event)), self.clock);
        }
    }
}

fn log_out_of_sight(event: &LifeEvent) {
    let reason = event.unseen.map_or("", Unseen::name);
    let (container, network) = (event.now.container.name.as_str(), event.network.as_deref());
    info!(container, network, reason, "traffic of a container that cannot be observed");
}
