//! Which packets did not arrive: sent into one interface, and not seen at the receiver's.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use super::OTHERS;
use crate::{
    identity::Directory,
    model::{
        Clock, EndReason, Endpoint, EntrySide, Exemplar, FlowEvent, FlowPhase, FlowRecord, Instant,
        Interface, InterfaceKind, Protocol, Seen, Tally, Translator, Undelivered, UndeliveredTotal,
    },
};

/// What has to be known before a packet may be called lost.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    /// Since when each interface is observed.
    since: HashMap<u32, Instant>,
    /// When packets were last found to be in no flow: they may be those that are missing.
    incomplete: Option<Instant>,
    /// Packets that did not arrive, by the container that they were for and the bridge in front of it.
    sums: BTreeMap<(Arc<str>, Arc<str>), Sum>,
    /// So many of them; what comes then is added up together.
    most: usize,
}

/// Packets that did not arrive, and the last flow that missed some.
#[derive(Debug, Default)]
struct Sum {
    packets: u64,
    flow: u64,
    of_flow: u64,
    time: Instant,
}

#[expect(clippy::cast_precision_loss, reason = "as Prometheus has it: exact up to 2^53")]
fn packets(count: u64) -> f64 {
    count as f64
}

impl Delivery {
    /// Adds up so many containers and bridges apart.
    pub(super) fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    pub(super) fn attached(&mut self, index: u32, now: Instant) {
        self.since.entry(index).or_insert(now);
    }

    pub(super) fn detached(&mut self, index: u32) {
        self.since.remove(&index);
    }

    /// Figures of flows may lack packets.
    pub(super) fn is_incomplete(&mut self, now: Instant) {
        self.incomplete = Some(now);
    }

    /// These have been gone for long.
    pub(super) fn forget(&mut self, names: &HashSet<Arc<str>>) {
        self.sums.retain(|(container, _), _| !names.contains(container));
    }

    /// By container and bridge.
    pub(super) fn totals(&self, clock: Clock) -> Vec<UndeliveredTotal> {
        let total = |((container, place), sum): (&(Arc<str>, Arc<str>), &Sum)| UndeliveredTotal {
            container: Arc::clone(container),
            place: Arc::clone(place),
            packets: sum.packets,
            last: Exemplar {
                flow: sum.flow,
                value: packets(sum.of_flow),
                time: clock.wall(sum.time),
            },
        };
        self.sums.iter().map(total).collect()
    }

    /// Notes in the event, and adds up, what of a flow did not arrive.
    pub(super) fn settle(&mut self, event: &mut FlowEvent, directory: &Directory) {
        let Some(missing) = self.undelivered(event, directory) else { return };
        let place: Arc<str> = missing.place.as_deref().unwrap_or_default().into();
        let flow = &mut event.flow;
        for (packets, receiver) in
            [(missing.from_client, &flow.server), (missing.from_server, &flow.client)]
        {
            if packets != 0 {
                let mut key = (receiver.label().into(), Arc::clone(&place));
                if self.sums.len() >= self.most && !self.sums.contains_key(&key) {
                    key = (OTHERS.into(), "".into());
                }
                let sum = self.sums.entry(key).or_default();
                let all = sum.packets + packets;
                *sum = Sum { packets: all, flow: flow.id, of_flow: packets, time: event.time };
            }
        }
        flow.undelivered = Some(missing);
    }

    /// The packets of a flow that has ended, whose last ones every hook has told by now.
    fn undelivered(&self, event: &FlowEvent, directory: &Directory) -> Option<Undelivered> {
        use EndReason::{Fin, Idle, NoAnswer, Refused, Reset};
        let flow = &event.flow;
        if !matches!(event.phase, FlowPhase::End(Fin | Reset | Refused | NoAnswer | Idle))
            || flow.protocol == Protocol::ARP
            // Of a proxy's two connections neither has the packets of the other.
            || flow.translation.is_some_and(|known| known.by == Translator::Proxy)
            || self.incomplete.is_some_and(|at| at >= flow.first)
        {
            return None;
        }
        let to_server = self.missing(flow, &flow.server, true, flow.sent, directory);
        let to_client = self.missing(flow, &flow.client, false, flow.received, directory);
        let place = to_server.or(to_client)?.1;
        Some(Undelivered {
            from_client: to_server.map_or(0, |(packets, _)| packets),
            from_server: to_client.map_or(0, |(packets, _)| packets),
            place: directory
                .interface(place)
                .and_then(|veth| directory.interface(veth.master?))
                .map(|bridge| bridge.name.clone()),
        })
    }

    /// Packets of one direction that did not come out of the receiver's veth, and that veth. `None`: none, or that cannot
    /// be told, because the receiver's is no veth that is observed, or was not from the beginning.
    fn missing(
        &self,
        flow: &FlowRecord,
        receiver: &Endpoint,
        from_client: bool,
        sent: Tally,
        directory: &Directory,
    ) -> Option<(u64, u32)> {
        let came_out = |veth: u32| {
            let hooks = flow.seen.iter().filter(|seen| {
                (seen.ifindex, seen.side, seen.from_client)
                    == (veth, EntrySide::Egress, from_client)
            });
            hooks.map(|seen| seen.tally.segments).sum::<u64>()
        };
        // Of nearly all flows nothing is missing: then nobody need be looked up.
        let is_veth = |index: u32| is_veth(directory.interface(index));
        let all_came =
            |seen: &Seen| is_veth(seen.ifindex) && came_out(seen.ifindex) >= sent.segments;
        if flow.seen.iter().any(all_came) {
            return None;
        }
        let veth = receiving_veth(receiver, flow.network.as_deref(), directory)?;
        if *self.since.get(&veth)? > flow.first {
            return None;
        }
        let missing = sent.segments.saturating_sub(came_out(veth));
        (missing != 0).then_some((missing, veth))
    }
}

/// The veth of a container in a network, if it is the only one.
fn receiving_veth(
    receiver: &Endpoint,
    network: Option<&str>,
    directory: &Directory,
) -> Option<u32> {
    let id = &receiver.container().filter(|container| !container.host_network)?.id;
    let is_its = |index: u32| {
        directory.container_of_interface(index).is_some_and(|container| container.id == *id)
            && directory.network_of_interface(index).as_deref() == network
    };
    let mut veths = directory
        .interfaces()
        .filter(|link| is_veth(Some(link)) && is_its(link.index))
        .map(|link| link.index);
    veths.next().filter(|_| veths.next().is_none())
}

fn is_veth(link: Option<&Interface>) -> bool {
    link.is_some_and(|link| link.kind == InterfaceKind::Veth)
}
