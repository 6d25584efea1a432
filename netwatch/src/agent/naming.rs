//! Names for the ends of a flow: what the hooks saw, put to the directory.

use std::net::IpAddr;

use smallvec::SmallVec;

use crate::{
    flow::{Names, Naming, Unnamed},
    identity::{Directory, Domains, Lookup},
    model::{EntrySide, InterfaceKind, Name, Seen, Socket},
};

/// Names both ends.
pub(super) fn name(directory: &Directory, domains: &Domains, flow: &Unnamed<'_>) -> Naming {
    let client = end(directory, flow, true);
    let server = end(directory, flow, false);
    let pending = client.is_pending() || server.is_pending();
    let server = match server.into_name() {
        Name::External => looked_up(domains, flow),
        name => name,
    };
    let is_host = server == Name::Host;
    let names = Names {
        client: client.into_name(),
        behind: is_host.then(|| directory.behind(flow.server, flow.protocol).cloned()).flatten(),
        server,
        network: flow.seen.iter().find_map(|seen| directory.network_of_interface(seen.ifindex)),
    };
    if pending { Naming::Provisional(names) } else { Naming::Final(names) }
}

/// A server outside, under the name by which the client looked it up.
fn looked_up(domains: &Domains, flow: &Unnamed<'_>) -> Name {
    let from_client = |seen: &&Seen| seen.from_client && seen.side == EntrySide::Ingress;
    let behind = flow.seen.iter().filter(from_client).map(|seen| seen.ifindex);
    domains.name(behind, flow.server.address).map_or(Name::External, Name::Domain)
}

/// Names source and destination of one packet that one hook saw.
pub(super) fn packet(
    directory: &Directory,
    ifindex: u32,
    side: EntrySide,
    source: Socket,
    destination: Socket,
) -> (Name, Name) {
    let behind = |is_here: bool| is_here.then_some(ifindex);
    let source = directory.name(source.address, behind(side == EntrySide::Ingress));
    // As in `end`: a bridge floods, so what the address says comes first.
    let destination = match directory.name(destination.address, None) {
        Lookup::Known(Name::External) | Lookup::Pending(_) => {
            directory.name(destination.address, behind(side == EntrySide::Egress))
        }
        known @ Lookup::Known(_) => known,
    };
    (source.into_name(), destination.into_name())
}

/// Names one end. The veth that it sent into decides; the one that its packets came out of does so only where nothing
/// else is known and they came out of no other, since a bridge floods packets to ports that they are not for.
fn end(directory: &Directory, flow: &Unnamed<'_>, is_client: bool) -> Lookup {
    let Unnamed { seen, first, .. } = *flow;
    let socket = if is_client { flow.client } else { flow.server };
    let veth = |side: EntrySide, from_it: bool| {
        let from_client = is_client == from_it;
        let here = |seen: &&Seen| seen.side == side && seen.from_client == from_client;
        let is_veth = |index: &u32| {
            directory.interface(*index).is_some_and(|link| link.kind == InterfaceKind::Veth)
        };
        seen.iter().filter(here).map(|seen| seen.ifindex).find(is_veth)
    };
    let came_in =
        seen.iter().any(|seen| seen.side == EntrySide::Ingress && seen.from_client == is_client);
    if !came_in && is_of_the_link(socket.address) {
        return Lookup::Known(Name::Host);
    }
    let sent_into = veth(EntrySide::Ingress, true);
    let lookup = directory.name_then(socket.address, sent_into, first);
    match lookup {
        Lookup::Known(Name::External) | Lookup::Pending(_) if sent_into.is_none() => {
            match veth(EntrySide::Egress, false).filter(|_| !is_flooded(directory, seen, is_client))
            {
                Some(came_out) => directory.name_then(socket.address, Some(came_out), first),
                None => lookup,
            }
        }
        lookup => lookup,
    }
}

/// Whether packets to this end left one bridge in more than one way: by several ports, or by one and up to the host itself.
fn is_flooded(directory: &Directory, seen: &[Seen], to_client: bool) -> bool {
    let mut bridges: SmallVec<[u32; 4]> = seen
        .iter()
        .filter(|seen| seen.from_client != to_client)
        .filter_map(|seen| {
            let link = directory.interface(seen.ifindex)?;
            match (link.kind, seen.side) {
                (InterfaceKind::Veth, EntrySide::Egress) => link.master,
                (InterfaceKind::Bridge, EntrySide::Ingress) => Some(link.index),
                _ => None,
            }
        })
        .collect();
    bridges.sort_unstable();
    bridges.windows(2).any(|two| two[0] == two[1])
}

/// Addresses that never cross a router. Packets from one of them that came in nowhere were made on this host.
fn is_of_the_link(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_unspecified() || address.is_link_local(),
        IpAddr::V6(address) => address.is_unspecified() || address.is_unicast_link_local(),
    }
}
