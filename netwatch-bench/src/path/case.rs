//! What is measured: each line of the table of the packet path.

use std::net::Ipv4Addr;

use ipnet::IpNet;
use netwatch::{datapath::Options, model::Exclusion};

use super::packet::{Family, HTTPS, Kind};

/// More packets than any case sends: no flow comes twice.
const EACH_NEW: u32 = u32::MAX;

/// When tables are emptied by loading them anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renew {
    /// All before each tenth round: a flow table's hash and its place in memory are others each time.
    Seldom,
    /// The yardstick's before each round, for a hash map that is full refuses what is new; netwatch's goes on full.
    Yardstick,
    /// All before each round.
    All,
}

/// One line of the table.
#[derive(Clone, Copy)]
pub struct Case {
    /// What the packets are.
    pub name: &'static str,
    /// Which packet.
    pub kind: Kind,
    /// Of which family.
    pub family: Family,
    /// Flows that take turns.
    pub flows: u32,
    /// Packets in one measurement.
    pub batch: u32,
    /// Measurements of each program.
    pub rounds: u32,
    /// When the tables are emptied.
    pub renew: Renew,
    /// What netwatch is told besides its defaults.
    pub configure: fn(&mut Options),
    /// The most that netwatch may cost, in costs of the yardstick (issue 3).
    pub goal: Option<f64>,
}

const ESTABLISHED: Case = Case {
    name: "",
    kind: Kind::TcpData,
    family: Family::V4,
    flows: 1000,
    batch: 50_000,
    rounds: 40,
    renew: Renew::Seldom,
    configure: |_| {},
    goal: None,
};

const NEW: Case =
    Case { flows: EACH_NEW, batch: 5_000, rounds: 20, renew: Renew::All, ..ESTABLISHED };

/// All lines, in the order of the table.
pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, kind, family) in [
        ("TCP IPv4", Kind::TcpData, Family::V4),
        ("TCP IPv6", Kind::TcpData, Family::V6),
        ("UDP IPv4", Kind::Udp, Family::V4),
        ("UDP IPv6", Kind::Udp, Family::V6),
    ] {
        let case = Case { name, kind, family, ..ESTABLISHED };
        for flows in [1, 1000, 10_000] {
            cases.push(Case { flows, goal: Some(0.3), ..case });
        }
        if name == "UDP IPv4" {
            // The lab's.
            cases.push(Case { flows: 50_000, ..case });
        }
        // More than the table holds: many a packet sends another flow out through the ring, which takes 10,000 of them.
        cases.push(Case {
            flows: 100_000,
            batch: 5_000,
            configure: |options| options.flow_entries = 1 << 16,
            goal: Some(2.0),
            ..case
        });
    }
    for (name, kind) in [("new flow, TCP SYN", Kind::TcpSyn), ("new flow, UDP", Kind::Udp)] {
        cases.push(Case { name, kind, goal: Some(3.0), ..NEW });
    }
    cases.push(Case {
        name: "new flow, UDP, table full",
        kind: Kind::Udp,
        renew: Renew::Yardstick,
        goal: Some(3.0),
        ..NEW
    });
    cases.extend([
        Case { name: "DNS query, over the rate", kind: Kind::DnsQuery, ..ESTABLISHED },
        Case {
            name: "DNS query, each read",
            kind: Kind::DnsQuery,
            // The ring takes 8,000 messages.
            batch: 5000,
            configure: |options| options.dns_rate = 1_000_000,
            ..ESTABLISHED
        },
        Case { name: "unparsed (LLC)", kind: Kind::Llc, ..ESTABLISHED },
        Case {
            name: "TCP IPv4, excluded",
            configure: |options| options.exclusion = exclusion(HTTPS),
            ..ESTABLISHED
        },
        Case {
            name: "TCP IPv4, others excluded",
            configure: |options| options.exclusion = exclusion(HTTPS + 1),
            ..ESTABLISHED
        },
        Case {
            name: "TCP IPv4, sampling off",
            configure: |options| options.sample_rate = 0,
            ..ESTABLISHED
        },
        Case {
            name: "TCP IPv4, sampling 1:1",
            // The ring takes 6,500 samples.
            batch: 5000,
            configure: |options| options.sample_rate = 1,
            ..ESTABLISHED
        },
    ]);
    cases
}

/// A filter that has to ask all it can: by network, and by a port.
fn exclusion(port: u16) -> Exclusion {
    let elsewhere = Ipv4Addr::new(192, 0, 2, 0);
    Exclusion {
        networks: IpNet::new(elsewhere.into(), 24).into_iter().collect(),
        ports: vec![(None, port)],
        protocols: Vec::new(),
    }
}
