//! The questions that the directory answers.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use super::{Directory, EngineState, Lookup, index::Claims};
use crate::{
    identity::Network,
    model::{Behind, Container, Instant, Interface, InterfaceKind, Mac, Name, Protocol, Socket},
};

/// Whoever has come has come by now.
const NOW: Instant = Instant(u64::MAX);

impl Directory {
    /// Whether the engine has said which containers there are, or says nothing.
    pub fn is_informed(&self) -> bool {
        self.listed || self.engine == EngineState::Down
    }

    /// The container behind a veth: by the namespace that its peer is in, else by an Ethernet address behind it, else by the
    /// time at which both came.
    pub fn container_of_interface(&self, index: u32) -> Option<Arc<Container>> {
        self.owner(index).or_else(|| self.container_that_came_with(index))
    }

    /// The same by what the kernel and the engine say.
    pub(super) fn owner(&self, index: u32) -> Option<Arc<Container>> {
        let by_mac = |claims| self.container_by_mac(index, claims);
        let Some(link) = self.links.get(&index) else {
            let known = self.departed.get(&index)?.container.clone();
            return known.or_else(|| by_mac(&self.index.live)).or_else(|| by_mac(&self.index.gone));
        };
        let namespace = link.interface.peer_namespace;
        if let Some(container) =
            namespace.and_then(|namespace| self.index.namespaces.get(&namespace))
        {
            return Some(Arc::clone(container));
        }
        link.settled.clone().or_else(|| by_mac(&self.index.live))
    }

    /// The live container that has an address.
    pub fn container_of_address(&self, address: IpAddr) -> Option<Arc<Container>> {
        self.index.live.holder(address, NOW).cloned()
    }

    /// The network of the bridge that an interface is or is a port of; of a veth that has left its bridge, the one that it
    /// was in.
    pub fn network_of_interface(&self, index: u32) -> Option<Arc<str>> {
        let Some(link) = self.links.get(&index) else {
            return self.departed.get(&index)?.network.clone();
        };
        if link.interface.kind == InterfaceKind::Veth && link.interface.master.is_none() {
            return link.network.clone();
        }
        let bridge = match link.interface.kind {
            InterfaceKind::Bridge => &link.interface,
            _ => &self.links.get(&link.interface.master?)?.interface,
        };
        if bridge.kind != InterfaceKind::Bridge {
            return None;
        }
        let known = self.network_of_bridge(bridge);
        Some(match (known, bridge.name.as_str()) {
            (Some(network), _) => network.name.as_str().into(),
            (None, "docker0") => "bridge".into(),
            (None, name) => name.into(),
        })
    }

    /// By its name; or, since Podman's compatible API does not tell that, by the gateway's address on it.
    fn network_of_bridge(&self, bridge: &Interface) -> Option<&Network> {
        let is_gateway = |network: &Network| {
            let mut here = self.host_addresses.iter().filter(|host| host.interface == bridge.index);
            here.any(|host| network.gateways.contains(&host.address))
        };
        let mut networks = self.networks.iter().filter(|network| network.bridge.is_some());
        let named =
            networks.clone().find(|network| network.bridge.as_deref() == Some(&bridge.name));
        named.or_else(|| networks.find(|network| is_gateway(network)))
    }

    /// Whether a bridge belongs to a container engine, by its word or, without an engine, by the habit of its name:
    /// Docker's `docker0` and `br-…`, Podman's and nerdctl's with a number.
    pub fn is_engine_bridge(&self, name: &str) -> bool {
        let number =
            |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
        self.networks.iter().any(|network| network.bridge.as_deref() == Some(name))
            || name.starts_with("br-")
            || ["docker", "podman", "cni-podman", "nerdctl"]
                .iter()
                .any(|habit| name.strip_prefix(habit).is_some_and(number))
    }

    /// Whose an address is now. `observed` is the interface behind which it was seen as the local end.
    pub fn name(&self, address: IpAddr, observed: Option<u32>) -> Lookup {
        self.name_then(address, observed, NOW)
    }

    /// Whose an address was when a packet passed: who came later cannot be meant.
    pub fn name_then(&self, address: IpAddr, observed: Option<u32>, at: Instant) -> Lookup {
        if address.is_multicast() {
            return Lookup::Known(Name::Multicast);
        }
        if self.is_broadcast(address) {
            return Lookup::Known(Name::Broadcast);
        }
        if address.is_loopback() || self.host.contains(&address) {
            return Lookup::Known(Name::Host);
        }
        let veth = observed
            .and_then(|index| self.interface(index))
            .filter(|link| link.kind == InterfaceKind::Veth);
        if let Some(container) = veth.and_then(|veth| self.container_of_interface(veth.index)) {
            return Lookup::Known(Name::Container(container));
        }
        // Behind a veth that is there, an address that one who has gone had is another's by now.
        let past = || veth.is_none_or(|veth| !self.links.contains_key(&veth.index));
        let live = self.index.live.holder(address, at).cloned();
        let addressed = live
            .or_else(|| self.container_of_link_local(address))
            .or_else(|| self.index.gone.holder(address, at).filter(|_| past()).cloned());
        if let Some(container) = addressed {
            return Lookup::Known(Name::Container(container));
        }
        let name = veth.map_or(Name::External, |veth| Name::Interface(veth.name.clone()));
        let ours = veth.is_some() || self.in_container_network(address);
        if ours && self.engine != EngineState::Down {
            Lookup::Pending(name)
        } else {
            Lookup::Known(name)
        }
    }

    /// The container that a port at one of the host's addresses leads to, where that is certain: while the engine is
    /// away, a container may go, and another process may have its port.
    pub fn behind(&self, host: Socket, protocol: Protocol) -> Option<&Behind> {
        self.index.published.find(host, protocol).filter(|_| self.listed)
    }

    /// The last resort where the kernel shows no namespace: an address that the engine gave, learned on this port.
    fn container_by_mac(&self, index: u32, claims: &Claims) -> Option<Arc<Container>> {
        let mut behind = claims.macs.iter().filter(|(mac, _)| self.ports.get(mac) == Some(&index));
        behind.next().map(|(_, container)| Arc::clone(container))
    }

    /// A link-local address is in no network's list, but made of the Ethernet address as a rule.
    fn container_of_link_local(&self, address: IpAddr) -> Option<Arc<Container>> {
        let IpAddr::V6(address) = address else { return None };
        let mac = mac_of_link_local(address)?;
        let known = self.index.live.macs.get(&mac).cloned();
        known.or_else(|| self.container_of_interface(*self.ports.get(&mac)?))
    }

    fn is_broadcast(&self, address: IpAddr) -> bool {
        let IpAddr::V4(address) = address else { return false };
        let of_subnet = |(subnet, prefix): (IpAddr, u8)| match subnet {
            IpAddr::V4(subnet) => last_of(subnet, prefix) == Some(address),
            IpAddr::V6(_) => false,
        };
        address.is_broadcast()
            || self.host_addresses.iter().any(|host| {
                host.broadcast == Some(address) || of_subnet((host.address, host.prefix))
            })
            || self
                .networks
                .iter()
                .flat_map(|network| &network.subnets)
                .any(|subnet| of_subnet(*subnet))
    }

    /// In a subnet of the engine's networks, or of a bridge that is an engine's.
    fn in_container_network(&self, address: IpAddr) -> bool {
        let bridged = self.host_addresses.iter().filter(|host| {
            let link = self.links.get(&host.interface).map(|link| &link.interface);
            link.is_some_and(|link| {
                link.kind == InterfaceKind::Bridge && self.is_engine_bridge(&link.name)
            })
        });
        self.networks
            .iter()
            .flat_map(|network| network.subnets.iter().copied())
            .chain(bridged.map(|host| (host.address, host.prefix)))
            .any(|(subnet, prefix)| contains(subnet, prefix, address))
    }
}

/// The broadcast address of a subnet that is large enough to have one (RFC 3021).
fn last_of(subnet: Ipv4Addr, prefix: u8) -> Option<Ipv4Addr> {
    let hosts = u32::MAX.checked_shr(u32::from(prefix)).filter(|_| (1..=30).contains(&prefix))?;
    Some(Ipv4Addr::from_bits(subnet.to_bits() | hosts))
}

fn contains(subnet: IpAddr, prefix: u8, address: IpAddr) -> bool {
    match (subnet, address) {
        (IpAddr::V4(subnet), IpAddr::V4(address)) => {
            let host = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
            subnet.to_bits() | host == address.to_bits() | host
        }
        (IpAddr::V6(subnet), IpAddr::V6(address)) => {
            let host = u128::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
            subnet.to_bits() | host == address.to_bits() | host
        }
        _ => false,
    }
}

/// Modified EUI-64 (RFC 4291, appendix A), backwards.
fn mac_of_link_local(address: Ipv6Addr) -> Option<Mac> {
    let octets = address.octets();
    if !octets.starts_with(&[0xfe, 0x80]) || octets[11..13] != [0xff, 0xfe] {
        return None;
    }
    let mut mac = [0; 6];
    mac[..3].copy_from_slice(&octets[8..11]);
    mac[3..].copy_from_slice(&octets[13..]);
    mac[0] ^= 2;
    Some(Mac(mac))
}
