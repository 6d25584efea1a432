//! The ledger under stress, in the real kernel: `seen = counted in a flow + each outcome`, to the packet and the byte, and
//! each flow what was sent in it.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

#[path = "ledger/agent.rs"]
mod agent;
#[path = "ledger/budget.rs"]
mod budget;
#[path = "ledger/churn.rs"]
mod churn;
#[path = "ledger/cpus.rs"]
mod cpus;
#[path = "ledger/flood.rs"]
mod flood;
#[path = "ledger/scale.rs"]
mod scale;

use std::net::IpAddr;

use etherparse::PacketBuilder;
use netwatch::{
    datapath::{Datapath, Options},
    model::{InterfaceKind, Protocol, Socket, Tally},
};
use support::{
    frames::Sender, ledger::Place, netns::in_new_namespace, programs::options, serial, veth,
};

/// Bytes of each frame.
const FRAME: u64 = 60;
/// Where frames go.
const TO: Socket = Socket { address: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), port: 9 };
/// Flows of one source address.
const PORTS: u32 = 50_000;

/// Runs a test in a new namespace, and no other meanwhile. Each wants the CPUs for itself; and one that starts a program has,
/// for a moment, a second process with all descriptors of all tests: a link that another closes then stays attached.
fn alone(body: impl FnOnce() + Send + 'static) {
    let _alone = serial::alone();
    in_new_namespace(body);
}

/// Two ends of a veth pair in a new namespace, observed. Nobody there takes the frames that a test sends.
fn on_veth(entries: u32, body: impl FnOnce(&mut Datapath, [u32; 2]) + Send + 'static) {
    alone(move || {
        let ends = veth::pair(["one", "two"], 1_500);
        let mut datapath =
            Datapath::load(&Options { flow_entries: entries, ..options() }).expect("loads");
        datapath.attach(ends[0], "one", InterfaceKind::Veth).expect("attaches");
        datapath.attach(ends[1], "two", InterfaceKind::Veth).expect("attaches");
        body(&mut datapath, ends);
    });
}

/// Where the packets of a flow come from.
fn source(flow: u32) -> Socket {
    let [_, middle, high, low] = (flow / PORTS).to_be_bytes();
    let port = 1_000 + u16::try_from(flow % PORTS).unwrap();
    Socket { address: IpAddr::from([10, middle, high, low]), port }
}

/// A UDP frame of a flow, for a station that is not there.
fn frame(flow: u32) -> Vec<u8> {
    let source = source(flow);
    let (IpAddr::V4(from), IpAddr::V4(to)) = (source.address, TO.address) else { unreachable!() };
    let step = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4(from.octets(), to.octets(), 64)
        .udp(source.port, TO.port);
    let mut bytes = Vec::new();
    step.write(&mut bytes, &[0; 18]).unwrap();
    bytes
}

/// The flow at an interface that transmits its packets.
fn sent_at(ifindex: u32, flow: u32) -> Place {
    Place { ifindex, local: TO, remote: source(flow), protocol: Protocol::UDP }
}

/// The flow at an interface that receives its packets.
fn received_at(ifindex: u32, flow: u32) -> Place {
    Place { ifindex, local: source(flow), remote: TO, protocol: Protocol::UDP }
}

/// So many frames.
fn frames(packets: u64) -> Tally {
    Tally { packets, segments: packets, bytes: packets * FRAME }
}

/// Sends a frame of each of these flows.
fn send(sender: &mut Sender, flows: impl IntoIterator<Item = u32>) {
    for flow in flows {
        sender.send(&frame(flow));
    }
}
