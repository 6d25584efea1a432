//! The interfaces and addresses as the kernel's messages have told them so far. Pure: messages in, events out.

use std::{
    collections::{BTreeSet, HashMap},
    mem,
    time::Instant,
};

use super::{
    LinkEvent, LinkStats,
    wire::{self, FAMILY_BRIDGE, Link, Message, Neighbour},
};
use crate::{
    identity::HostAddress,
    model::{Interface, InterfaceKind, Mac},
};

/// Follows the messages of one socket in the order in which they come.
#[derive(Debug, Default)]
pub(super) struct Table {
    links: HashMap<u32, (Interface, LinkStats)>,
    addresses: Vec<HostAddress>,
    addresses_complete: bool,
    forwarding: Vec<(u32, Mac)>,
    /// The list that is being made anew; changes to it are kept back until it is whole.
    pub(super) listing: Option<Listing>,
    pub(super) malformed: u64,
}

/// What the kernel can be asked to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listing {
    Links,
    Addresses,
    Forwarding,
}

impl Table {
    /// Forgets what the listing will tell anew.
    pub(super) fn begin(&mut self, listing: Listing) {
        self.listing = Some(listing);
        match listing {
            Listing::Links => self.links.clear(),
            Listing::Addresses => {
                self.addresses_complete = false;
                self.addresses.clear();
            }
            Listing::Forwarding => self.forwarding.clear(),
        }
    }

    /// The listing is whole: the event that says so.
    pub(super) fn finish(&mut self) -> Option<LinkEvent> {
        Some(match self.listing.take()? {
            Listing::Links => LinkEvent::Snapshot(self.links.values().cloned().collect()),
            Listing::Addresses => {
                self.addresses_complete = true;
                LinkEvent::Addresses(self.addresses.clone())
            }
            Listing::Forwarding => LinkEvent::Forwarding(mem::take(&mut self.forwarding)),
        })
    }

    /// Namespaces in which the peers of our veths live.
    pub(super) fn peer_namespaces(&self) -> BTreeSet<i32> {
        self.links.values().filter_map(|(interface, _)| interface.peer_namespace).collect()
    }

    /// Takes in one message.
    pub(super) fn apply(
        &mut self,
        message: &Message<'_>,
        seen_at: Instant,
        out: &mut Vec<LinkEvent>,
    ) {
        let understood = match message.kind {
            libc::RTM_NEWLINK => {
                wire::link(message.payload).map(|link| self.link(link, seen_at, out))
            }
            libc::RTM_DELLINK => {
                wire::link(message.payload).map(|link| self.link_gone(&link, seen_at, out))
            }
            libc::RTM_NEWADDR => {
                wire::address(message.payload).map(|address| self.address(address, true, out))
            }
            libc::RTM_DELADDR => {
                wire::address(message.payload).map(|address| self.address(address, false, out))
            }
            // An ARP entry that is still being resolved has no Ethernet address: that is no malformed message.
            libc::RTM_NEWNEIGH | libc::RTM_DELNEIGH => wire::neighbour(message.payload)
                .map(|entry| self.neighbour(entry, message.kind == libc::RTM_NEWNEIGH, out))
                .or(Some(())),
            _ => Some(()),
        };
        self.malformed += u64::from(understood.is_none());
    }

    fn link(&mut self, link: Link, seen_at: Instant, out: &mut Vec<LinkEvent>) {
        let known = self.links.get(&link.index);
        let (interface, stats) = if link.family == FAMILY_BRIDGE {
            // The bridge's own notice of a port: true about the master, silent about kind, namespace and counters.
            let Some((interface, stats)) = known else { return };
            (Interface { master: link.master.or(interface.master), ..interface.clone() }, *stats)
        } else {
            let interface = Interface {
                index: link.index,
                name: link
                    .name
                    .or_else(|| known.map(|(known, _)| known.name.clone()))
                    .unwrap_or_default(),
                kind: link
                    .kind
                    .or(known.map(|(known, _)| known.kind))
                    .unwrap_or(InterfaceKind::Other),
                master: link.master,
                peer_namespace: link.peer_namespace,
                mac: link.mac,
            };
            (interface, link.stats)
        };
        self.store(interface, stats, seen_at, out);
    }

    fn link_gone(&mut self, link: &Link, seen_at: Instant, out: &mut Vec<LinkEvent>) {
        if link.family == FAMILY_BRIDGE {
            // A port left its bridge. By the time we read it, it may be a port of another one.
            if let Some((interface, stats)) = self.links.get(&link.index)
                && interface.master == link.master
            {
                let interface = Interface { master: None, ..interface.clone() };
                self.store(interface, *stats, seen_at, out);
            }
            return;
        }
        if let Some((interface, _)) = self.links.remove(&link.index)
            && self.listing != Some(Listing::Links)
        {
            out.push(LinkEvent::Gone { index: interface.index, name: interface.name });
        }
        // The peer moved away. The end that stays gets no message of its own before its carrier changes.
        if let (Some(namespace), Some(peer)) = (link.new_namespace, link.peer)
            && let Some((interface, stats)) = self.links.get(&peer)
            && interface.kind == InterfaceKind::Veth
        {
            let interface = Interface { peer_namespace: Some(namespace), ..interface.clone() };
            self.store(interface, *stats, seen_at, out);
        }
    }

    fn store(
        &mut self,
        interface: Interface,
        stats: LinkStats,
        seen_at: Instant,
        out: &mut Vec<LinkEvent>,
    ) {
        let old = self.links.insert(interface.index, (interface.clone(), stats));
        let unchanged = old.is_some_and(|(old, _)| old == interface);
        if !unchanged && self.listing != Some(Listing::Links) {
            out.push(LinkEvent::Changed { interface, seen_at, stats });
        }
    }

    fn address(&mut self, address: HostAddress, present: bool, out: &mut Vec<LinkEvent>) {
        // An IPv6 address is announced again at each refresh of its lifetime.
        if present == self.addresses.contains(&address) {
            return;
        }
        self.addresses.retain(|other| {
            (other.interface, other.address) != (address.interface, address.address)
        });
        if present {
            self.addresses.push(address);
        }
        if self.addresses_complete {
            out.push(LinkEvent::Addresses(self.addresses.clone()));
        }
    }

    fn neighbour(&mut self, entry: Neighbour, present: bool, out: &mut Vec<LinkEvent>) {
        if entry.family != FAMILY_BRIDGE || entry.local {
            return;
        }
        if self.listing == Some(Listing::Forwarding) {
            self.forwarding.retain(|known| *known != (entry.port, entry.mac));
            if present {
                self.forwarding.push((entry.port, entry.mac));
            }
        } else {
            out.push(LinkEvent::Neighbour { port: entry.port, mac: entry.mac, present });
        }
    }
}
