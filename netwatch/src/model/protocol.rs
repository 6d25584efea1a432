//! Protocols that flows are of.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// An IP protocol number; above those, what is not over IP, by its Ethernet type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Protocol(pub u16);

impl Protocol {
    /// ICMP for IPv4.
    pub const ICMP: Self = Self(1);
    /// TCP.
    pub const TCP: Self = Self(6);
    /// UDP.
    pub const UDP: Self = Self(17);
    /// ICMP for IPv6.
    pub const ICMPV6: Self = Self(58);
    /// SCTP.
    pub const SCTP: Self = Self(132);
    /// UDP-Lite.
    pub const UDP_LITE: Self = Self(136);
    /// Address resolution: its flows go from who asks to who is asked for.
    pub const ARP: Self = Self(0x0806);

    /// Protocols that have ports.
    pub const WITH_PORTS: [Self; 4] = [Self::TCP, Self::UDP, Self::SCTP, Self::UDP_LITE];

    /// Whether the flow key has real ports (for ICMP it has an identifier instead).
    pub fn has_ports(self) -> bool {
        Self::WITH_PORTS.contains(&self)
    }

    /// Whether this is ICMP of either family.
    pub fn is_icmp(self) -> bool {
        matches!(self, Self::ICMP | Self::ICMPV6)
    }
}

/// Those that have a name here.
const NAMES: [(u16, &str); 13] = [
    (1, "icmp"),
    (2, "igmp"),
    (4, "ipip"),
    (6, "tcp"),
    (17, "udp"),
    (41, "ipv6"),
    (47, "gre"),
    (50, "esp"),
    (51, "ah"),
    (58, "icmpv6"),
    (132, "sctp"),
    (136, "udplite"),
    (0x0806, "arp"),
];

impl fmt::Display for Protocol {
    /// The lower-case name, or `proto-N` where we have none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(number, _)| *number == self.0) {
            Some((_, name)) => f.pad(name),
            None => f.pad(&format!("proto-{}", self.0)),
        }
    }
}

impl FromStr for Protocol {
    type Err = ();

    /// What [`fmt::Display`] writes.
    fn from_str(text: &str) -> Result<Self, ()> {
        if let Some((number, _)) = NAMES.iter().find(|(_, name)| *name == text) {
            return Ok(Self(*number));
        }
        text.strip_prefix("proto-").and_then(|number| number.parse().ok()).map(Self).ok_or(())
    }
}
