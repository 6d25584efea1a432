//! Packets whose headers are beyond the linear part of their skb, sent over a real veth pair.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::net::IpAddr;

use etherparse::PacketBuilder;
use netwatch::{
    datapath::Datapath,
    model::{InterfaceKind, Observation, Tally},
};
use netwatch_common::outcome::Outcome;
use support::{frames::send_paged, netns::in_new_namespace, programs::options, veth};

const PAYLOAD: usize = 5_000;

/// UDP from port 40,000 to this one.
fn udp(port: u16) -> Vec<u8> {
    let step = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .udp(40_000, port);
    let mut bytes = Vec::new();
    step.write(&mut bytes, &[0; PAYLOAD]).unwrap();
    bytes
}

/// The frame with this in front of its Ethernet type.
fn with(between: &[u8], mut frame: Vec<u8>) -> Vec<u8> {
    frame.splice(12..12, between.iter().copied());
    frame
}

/// UDP behind two extension headers of 2 KiB each.
fn extended(port: u16) -> Vec<u8> {
    let options = |next: u8| [vec![next, 255], vec![1; 2046]].concat();
    let payload = [options(60), options(17), udp(port).split_off(34)].concat();
    let address = |last: u8| [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let ethernet = &udp(port)[..12];
    let fixed = [0x86, 0xdd, 0x60, 0, 0, 0, length[0], length[1], 60, 64];
    [ethernet, &fixed, &address(1), &address(2), &payload].concat()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn headers_beyond_the_linear_part_are_read() {
    in_new_namespace(|| {
        let [one, two] = veth::pair(["one", "two"], 20_000);
        let mut datapath = Datapath::load(&options()).expect("loads");
        datapath.attach(one, "one", InterfaceKind::Veth).expect("attaches");
        datapath.attach(two, "two", InterfaceKind::Veth).expect("attaches");
        let frames = [
            udp(1),
            with(&[0x81, 0, 0, 7], udp(2)),
            with(&[0x88, 0xa8, 0, 7, 0x81, 0, 0, 8], udp(3)),
            extended(4),
            with(&[1, 0, 0xaa, 0xaa, 3, 0, 0, 0], udp(5)),
        ];
        for frame in &frames {
            send_paged(one, frame);
        }
        let mut flows: Vec<Observation> = Vec::new();
        datapath.read_flows(|flow| flows.push(flow));
        let counted = flows.iter().fold(Tally::ZERO, |sum, f| sum + f.ingress.new + f.egress.new);
        let outcomes = datapath.outcomes();
        let not_counted = outcomes.iter().fold(Tally::ZERO, |sum, (_, tally)| sum + *tally);
        assert_eq!(datapath.seen(), counted + not_counted);
        assert_eq!(outcomes[Outcome::Truncated as usize].1, Tally::ZERO);
        for (port, frame) in (1..).zip(&frames) {
            let flow = flows.iter().find(|flow| flow.ifindex == one && flow.local.port == port);
            let flow = flow.unwrap_or_else(|| panic!("no flow to port {port}: {flows:?}"));
            let bytes = u64::try_from(frame.len()).unwrap();
            assert_eq!(flow.egress.new, Tally { packets: 1, segments: 1, bytes });
            assert_eq!(flow.remote.port, 40_000);
            let is_ipv4 = flow.remote.address == IpAddr::from([10, 0, 0, 1]);
            assert_eq!(is_ipv4, port != 4);
        }
        // Here a tag has gone from the bytes into the skb; what has none arrives as it was sent.
        let arrived = flows.iter().find(|flow| flow.ifindex == two && flow.remote.port == 1);
        assert_eq!(arrived.expect("a flow").ingress.new.bytes, frames[0].len() as u64);
    });
}
