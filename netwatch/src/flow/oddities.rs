//! What few conversations have.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{hooks::Hook, opening::Opening};
use crate::model::{DropPlace, DroppedPacket, Echoes, FlowDrop, Repairs, Translation};

/// What went wrong with a conversation, ICMP echoes that were timed, and how it was translated.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Oddities {
    echoes: Echoes,
    repairs: Vec<(Hook, Repairs)>,
    /// Retransmitted segments that the edge knows of.
    told: u64,
    /// By reason, place and direction (`from_client` stands for "from low" here).
    drops: Vec<FlowDrop>,
    pub(super) translation: Option<Arc<Translation>>,
    /// Of a proxy's two connections, how the other one was set up.
    pub(super) other_opening: Opening,
}

impl Oddities {
    pub(super) fn add_echoes(&mut self, new: Echoes) {
        self.echoes.timed += new.timed;
        self.echoes.total += new.total;
    }

    pub(super) fn add_repairs(&mut self, hook: Hook, new: Repairs) {
        match self.repairs.iter_mut().find(|(known, _)| *known == hook) {
            Some((_, repairs)) => *repairs += new,
            None => self.repairs.push((hook, new)),
        }
    }

    pub(super) fn add_drop(&mut self, packet: &DroppedPacket, place: &DropPlace, from_low: bool) {
        let (reason, ifindex) = (&packet.reason, packet.site.ifindex());
        let same = |known: &&mut FlowDrop| {
            (&known.reason, &known.place, known.ifindex, known.from_client)
                == (reason, place, ifindex, from_low)
        };
        match self.drops.iter_mut().find(same) {
            Some(known) => known.packets += 1,
            None => self.drops.push(FlowDrop {
                reason: Arc::clone(reason),
                place: place.clone(),
                ifindex,
                from_client: from_low,
                packets: 1,
            }),
        }
    }

    pub(super) fn echoes(&self) -> Echoes {
        self.echoes
    }

    /// What went wrong with the segments of one direction, each once: as `Hooks::counted` counts.
    pub(super) fn repairs(&self, from_low: bool) -> Repairs {
        let hooks = self.repairs.iter().filter(|(hook, _)| hook.from_low == from_low);
        hooks.fold(Repairs::default(), |most, (_, repairs)| most.max(*repairs))
    }

    /// Retransmitted segments of both directions since this was last asked.
    pub(super) fn newly_retransmitted(&mut self) -> u64 {
        let all = self.repairs(true).retransmitted + self.repairs(false).retransmitted;
        let new = all.saturating_sub(self.told);
        self.told += new;
        new
    }

    pub(super) fn drops(&self, low_is_client: bool) -> Vec<FlowDrop> {
        let turned = |known: &FlowDrop| FlowDrop {
            from_client: known.from_client == low_is_client,
            ..known.clone()
        };
        self.drops.iter().map(turned).collect()
    }
}
