//! The same packets through the programs in the kernel: what they count, and where.

use std::{
    collections::{BTreeMap, HashSet},
    net::{IpAddr, Ipv6Addr},
};

use netwatch::{
    datapath::Datapath,
    model::{Protocol, Tally},
};
use netwatch_common::{
    flow::{Address, family},
    outcome::Outcome,
    parse::{self, Packet, fragment},
};

use crate::support::programs::{EGRESS, INGRESS, run};

/// Whether the kernel runs a program on the frame: it refuses one with nothing behind the Ethernet header, or with an IP
/// header that is cut off (net/bpf/test_run.c, `bpf_prog_test_run_skb`).
pub fn runs(bytes: &[u8]) -> bool {
    let network = match bytes.get(12..14) {
        Some([0x08, 0x00]) => 20,
        Some([0x86, 0xdd]) => 40,
        _ => 1,
    };
    bytes.len() >= 14 + network
}

/// First fragments that have been seen, by what all fragments of a packet share.
#[derive(Default)]
pub struct Firsts(HashSet<(Address, Address, u32, u8)>);

impl Firsts {
    /// Whether a packet is a later fragment of one of them. How long the kernel remembers them is its own business, so
    /// that nothing is expected of such a packet.
    pub fn know(&mut self, bytes: &[u8]) -> bool {
        let Ok(packet) = parse::parse(bytes) else { return false };
        let key = (packet.source, packet.destination, packet.fragment_id, packet.family);
        match packet.fragment {
            fragment::FIRST => {
                self.0.insert(key);
                false
            }
            fragment::LATER => self.0.contains(&key),
            _ => false,
        }
    }
}

/// Where a packet is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Flow { local: (IpAddr, u16), remote: (IpAddr, u16), protocol: Protocol, is_inner: bool },
    Outcome(&'static str),
}

/// Packets, segments and bytes of each place, sent and received (or, of an outcome, both together).
pub type Counts = BTreeMap<Place, [Tally; 2]>;

fn add(counts: &mut Counts, place: Place, hook: usize, tally: Tally) {
    if !tally.is_zero() {
        counts.entry(place).or_insert([Tally::ZERO; 2])[hook] += tally;
    }
}

/// The hook of the n-th packet: both have their turn.
fn hook(index: usize) -> usize {
    index % 2
}

/// What the parser in user space says that the kernel has to count.
pub fn expected(batch: &[Vec<u8>]) -> Counts {
    let mut counts = Counts::new();
    for (index, bytes) in batch.iter().enumerate() {
        let hook = hook(index);
        let packet = match parse::parse(&bytes[..]) {
            // See `Firsts`.
            Ok(packet) if packet.fragment == fragment::LATER => Err(Outcome::LaterFragment),
            answer => answer,
        };
        match packet {
            Ok(packet) => {
                add(&mut counts, flow(&packet, hook, false), hook, one(bytes.len()));
                let at = packet.inner_at;
                // What is inside a tunnel is counted beside it.
                if at != 0
                    && let Ok(inner) = parse::parse_at(&bytes[..], at)
                    && inner.fragment != fragment::LATER
                {
                    let place = flow(&inner, hook, true);
                    add(&mut counts, place, hook, one(bytes.len() - at as usize));
                }
            }
            Err(outcome) => {
                add(&mut counts, Place::Outcome(outcome.name()), 0, one(bytes.len()));
            }
        }
    }
    counts
}

fn one(bytes: usize) -> Tally {
    Tally { packets: 1, segments: 1, bytes: bytes as u64 }
}

fn flow(packet: &Packet, hook: usize, is_inner: bool) -> Place {
    let source = (address(packet.source), packet.source_port);
    let destination = (address(packet.destination), packet.destination_port);
    // The local end sends what the ingress hook sees.
    let (local, remote) = if hook == 0 { (source, destination) } else { (destination, source) };
    let is_arp = packet.family == family::ARP;
    let protocol = if is_arp { Protocol::ARP } else { Protocol(packet.protocol.into()) };
    Place::Flow { local, remote, protocol, is_inner }
}

fn address(address: Address) -> IpAddr {
    Ipv6Addr::from(address.octets()).to_canonical()
}

/// Runs the programs on a batch of packets and reads once what they have counted.
pub fn counted(datapath: &mut Datapath, batch: &[Vec<u8>]) -> Counts {
    let before = datapath.outcomes();
    for (index, bytes) in batch.iter().enumerate() {
        run(datapath, [INGRESS, EGRESS][hook(index)], bytes, 1, None);
    }
    let mut counts = Counts::new();
    datapath.read_flows(|flow| {
        let place = Place::Flow {
            local: (flow.local.address, flow.local.port),
            remote: (flow.remote.address, flow.remote.port),
            protocol: flow.protocol,
            is_inner: flow.is_inner,
        };
        add(&mut counts, place.clone(), 0, flow.ingress.new);
        add(&mut counts, place, 1, flow.egress.new);
    });
    for ((outcome, tally), (_, earlier)) in datapath.outcomes().into_iter().zip(before) {
        add(&mut counts, Place::Outcome(outcome.name()), 0, tally.since(earlier));
    }
    counts
}

/// The first packet of a batch that is counted elsewhere by itself, with both opinions.
pub fn culprit(datapath: &mut Datapath, batch: &[Vec<u8>]) -> Option<(Vec<u8>, Counts, Counts)> {
    batch.iter().find_map(|bytes| {
        let single = [bytes.clone()];
        let (kernel, user) = (counted(datapath, &single), expected(&single));
        (kernel != user).then(|| (bytes.clone(), kernel, user))
    })
}
