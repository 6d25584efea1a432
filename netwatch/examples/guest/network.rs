//! The guest's network, as Docker would make it: two namespaces on a bridge, and a VLAN between them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::Result;
use netwatch::model::InterfaceKind;

use crate::{links, namespace::Namespace};

/// Its bridge.
pub const BRIDGE: &str = "br-guest";
/// The interface of a namespace.
const INSIDE: &str = "eth0";
const TAGGED: &str = "eth0.7";
const VLAN: u16 = 7;

/// Who sends and receives.
pub struct Node {
    pub name: &'static str,
    pub namespace: Namespace,
    /// Its last octet.
    number: u8,
    /// The interface in the host's namespace that its packets pass: a port of the bridge, or the bridge for the host.
    pub outside: (&'static str, u32),
    /// Its own end.
    pub inside: u32,
}

/// Which of its addresses a node is to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
    V4Tagged,
    V6Tagged,
}

pub struct Network {
    pub cli: Node,
    pub web: Node,
    pub host: Node,
}

impl Network {
    /// Makes it. Nothing takes it away: the machine goes with it.
    pub fn make() -> Result<Self> {
        let bridge = links::bridge(BRIDGE)?;
        let host = Node {
            name: "host",
            namespace: Namespace::here()?,
            number: 1,
            outside: (BRIDGE, bridge),
            inside: bridge,
        };
        for family in [Family::V4, Family::V6] {
            host.give(bridge, family)?;
        }
        links::up(bridge)?;
        Ok(Self {
            cli: Node::make("cli", "veth-cli", 2, bridge)?,
            web: Node::make("web", "veth-web", 3, bridge)?,
            host,
        })
    }
}

impl Node {
    fn make(name: &'static str, outside: &'static str, number: u8, bridge: u32) -> Result<Self> {
        let namespace = Namespace::new(name)?;
        let index = links::veth(outside, INSIDE, &namespace)?;
        links::enslave(index, bridge)?;
        links::up(index)?;
        let inside = namespace.enter(|| links::index(INSIDE))?;
        let node = Self { name, namespace, number, outside: (outside, index), inside };
        node.namespace.enter(|| {
            links::up(1)?;
            links::up(inside)?;
            let tagged = links::vlan(TAGGED, inside, VLAN)?;
            links::up(tagged)?;
            for family in [Family::V4, Family::V6] {
                node.give(inside, family)?;
            }
            for family in [Family::V4Tagged, Family::V6Tagged] {
                node.give(tagged, family)?;
            }
            // Who may send echo requests without a raw socket: everybody (icmp(7)). The file is that of this namespace.
            std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647")?;
            Ok(())
        })?;
        Ok(node)
    }

    fn give(&self, index: u32, family: Family) -> Result<()> {
        links::address(index, self.address(family), if family.is_v4() { 24 } else { 64 })
    }

    /// What its packets pass in the host's namespace.
    pub fn kind(&self) -> InterfaceKind {
        if self.outside.0 == BRIDGE { InterfaceKind::Bridge } else { InterfaceKind::Veth }
    }

    pub fn address(&self, family: Family) -> IpAddr {
        let last = self.number;
        match family {
            Family::V4 => Ipv4Addr::new(10, 9, 0, last).into(),
            Family::V4Tagged => Ipv4Addr::new(10, 9, 7, last).into(),
            Family::V6 => Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, last.into()).into(),
            Family::V6Tagged => Ipv6Addr::new(0xfd09, 7, 0, 0, 0, 0, 0, last.into()).into(),
        }
    }
}

impl Family {
    pub fn is_v4(self) -> bool {
        matches!(self, Self::V4 | Self::V4Tagged)
    }

    pub fn is_tagged(self) -> bool {
        matches!(self, Self::V4Tagged | Self::V6Tagged)
    }
}
