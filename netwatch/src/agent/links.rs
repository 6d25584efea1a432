//! Links come and go: what is attached to, and what is settled when it is over.

use tracing::{debug, info, warn};

use super::{AgentError, core::Core, tending::carried};
use crate::{
    datapath::{AttachError, monotonic_now},
    identity::{LinkEvent, namespace_id_of_pid},
    model::Interface,
};

impl Core {
    pub(super) fn on_link(&mut self, event: &LinkEvent) -> Result<(), AgentError> {
        let now = monotonic_now();
        if let LinkEvent::Gone { index, .. } = event {
            // While the directory still knows it.
            self.read_flows();
            let index = *index;
            self.tell(now, |tracker, now, name, report| {
                tracker.interface_gone(index, now, name, report);
            });
            self.detach(index);
            self.attaching.forget(index);
        }
        if let LinkEvent::Snapshot(_) = event
            && self.ready
        {
            self.leave_the_dead();
        }
        self.directory.apply_link(event, now);
        match event {
            LinkEvent::Snapshot(links) => {
                let interfaces: Vec<Interface> =
                    links.iter().map(|(interface, _)| interface.clone()).collect();
                self.on_snapshot(&interfaces)?;
            }
            LinkEvent::Changed { interface, seen_at, .. } if self.ready => {
                if !self.datapath.is_attached(interface.index) {
                    self.attaching.heard_of(interface.index, *seen_at);
                }
                if self.consider(interface) {
                    self.attaching.attached(interface.index);
                    if let Some(ahead) = self.ahead(interface, &carried()) {
                        self.attaching.gap_packets += u64::try_from(ahead).unwrap_or(0);
                        self.attaching.is_ahead(interface.index, ahead);
                    }
                }
            }
            LinkEvent::Namespaces(_) => self.labelled.learn(&self.directory),
            LinkEvent::Addresses(_) => self.listed = self.ready,
            LinkEvent::Failed(reason) => {
                warn!("{reason}");
                self.listed = self.ready;
            }
            _ => {}
        }
        self.directory.place(namespace_id_of_pid);
        self.follow_namespaces();
        self.tell_readiness();
        Ok(())
    }

    /// Says whether all is attached to, if that has changed.
    pub(super) fn tell_readiness(&self) {
        if self.ready {
            let now = self.attaching.readiness();
            self.readiness.send_if_modified(|told| {
                let changed = *told != now;
                *told = now;
                changed
            });
        }
    }

    /// All interfaces, at the start and whenever messages were lost.
    fn on_snapshot(&mut self, interfaces: &[Interface]) -> Result<(), AgentError> {
        if !self.ready {
            self.check_names(interfaces)?;
        }
        for index in self.datapath.take_gone() {
            self.detach(index);
        }
        for index in self.datapath.counted() {
            if !interfaces.iter().any(|interface| interface.index == index) {
                self.detach(index);
            }
        }
        self.attaching.only(|index| interfaces.iter().any(|interface| interface.index == index));
        for interface in interfaces {
            // Here, so that of filters below clsact there is none for as short a time as can be.
            if !self.ready && self.datapath.remove_leftovers(&interface.name, interface.index) {
                info!(interface = interface.name, "removed what an earlier netwatch left attached");
            }
            let was_counted = self.datapath.is_counted(interface.index);
            if self.consider(interface) && self.datapath.is_inherited() && !was_counted {
                // It came when nobody was there to attach to it.
                self.attaching.gap_packets += carried().get(&interface.name).copied().unwrap_or(0);
            }
        }
        if !self.ready {
            self.ready = true;
            self.catch_up();
            info!(
                interfaces = self.datapath.attached().len(),
                by = self.datapath.attach_kind(),
                "attached"
            );
            // From here on it is known how much passes unseen where somebody detaches us.
            self.tend();
            for pattern in &self.selection.include {
                if !interfaces.iter().any(|interface| pattern.is_match(&interface.name)) {
                    warn!(pattern = pattern.glob().glob(), "no interface matches --interface yet");
                }
            }
        }
        Ok(())
    }

    /// A name without wildcards must be there; a pattern may be about interfaces to come.
    fn check_names(&self, interfaces: &[Interface]) -> Result<(), AgentError> {
        for pattern in &self.selection.include {
            let name = pattern.glob().glob();
            let literal = !name.contains(['*', '?', '[', '{', '\\']);
            if literal && !interfaces.iter().any(|interface| interface.name == name) {
                let present: Vec<&str> =
                    interfaces.iter().map(|interface| interface.name.as_str()).collect();
                return Err(AgentError::NoSuchInterface {
                    name: name.into(),
                    present: present.join(", "),
                });
            }
        }
        Ok(())
    }

    /// Attaches to an interface that is to be observed, detaches from one that no longer is. Whether it attached.
    pub(super) fn consider(&mut self, interface: &Interface) -> bool {
        let wanted =
            self.selection.selects(interface, self.directory.is_engine_bridge(&interface.name));
        let attached = self.datapath.is_attached(interface.index);
        if attached && !wanted {
            self.detach(interface.index);
        }
        if attached || !wanted {
            self.attaching.is_settled(interface.index);
            if wanted {
                self.datapath.is_of(interface.index, interface.kind);
                self.delivery.attached(interface.index, monotonic_now());
            }
            return false;
        }
        match self.datapath.attach(interface.index, &interface.name, interface.kind) {
            Ok(()) => {
                debug!(interface = interface.name, index = interface.index, "attached");
                self.delivery.attached(interface.index, monotonic_now());
                self.attaching.is_settled(interface.index);
                self.keeping.hurry();
                true
            }
            // The kernel's next message says what became of it.
            Err(AttachError::Vanished) => false,
            Err(error) => {
                let why = format!("{}: {error}", interface.name);
                if self.attaching.failed(interface.index, why) {
                    warn!(interface = interface.name, %error, "cannot attach; trying again");
                }
                false
            }
        }
    }

    /// Messages were lost: an interface that we are attached to may have gone, and its index may be another one's by now.
    fn leave_the_dead(&mut self) {
        for index in self.datapath.attached() {
            if self.datapath.lost(index) == [true, true] {
                self.detach(index);
            }
        }
    }

    pub(super) fn detach(&mut self, index: u32) {
        if self.datapath.is_counted(index) {
            self.let_go(index);
        }
    }

    /// Settles what an interface has counted, also where its programs are detached already.
    pub(super) fn let_go(&mut self, index: u32) {
        self.read_flows();
        self.read_rings();
        self.settle(index);
        let counters = self.datapath.detach(index).unwrap_or_default();
        // Between settling and detaching some may have come.
        let container = self.directory.container_of_interface(index);
        let network = self.directory.network_of_interface(index);
        self.accounts.settle(index, counters, container.as_deref(), network.as_ref());
        self.accounts.close(index, counters);
        self.ports.close(index, counters);
        self.sizes.close(index);
        self.delivery.detached(index);
        debug!(index, ?counters, "detached");
    }

    /// Adds what a veth has counted, and what was sampled there, to its container.
    pub(super) fn settle(&mut self, index: u32) {
        let Some(counters) = self.datapath.counters(index) else { return };
        let container = self.directory.container_of_interface(index);
        let network = self.directory.network_of_interface(index);
        self.accounts.settle(index, counters, container.as_deref(), network.as_ref());
        self.sizes.settle(index, container.as_deref(), network.as_ref());
    }
}
