//! Very many flows, very many packets.

use std::thread;

use netwatch::model::{InterfaceCounters, Tally};
use netwatch_common::outcome::Outcome;

use super::{
    FRAME, frame, frames, on_veth, send, sent_at,
    support::{
        frames::Sender,
        ledger::{Ledger, outcome},
        programs::{EGRESS, INGRESS, run_at},
    },
};

const FLOWS: u32 = 500_000;
/// So many flows have room in the ring, even at both ends, before somebody reads.
const STEP: u32 = 5_000;

#[test]
#[ignore = "needs root: cargo xtask test"]
fn half_a_million_flows_are_told_apart() {
    on_veth(1 << 14, |datapath, [one, two]| {
        // Of one end: the memory of this test is for flows.
        datapath.detach(two);
        let mut sender = Sender::at(one);
        let mut ledger = Ledger::of_frames(FRAME);
        for first in (0..FLOWS).step_by(STEP as usize) {
            send(&mut sender, first..first + STEP);
            ledger.read(datapath);
        }
        ledger.close(datapath);
        assert_eq!(ledger.flows.len(), FLOWS as usize);
        for flow in 0..FLOWS {
            let counted = ledger.flows[&sent_at(one, flow)];
            assert_eq!((counted.egress, counted.ingress), (frames(1), Tally::ZERO), "{flow}");
        }
        assert_eq!(outcome(datapath, Outcome::FlowTableFull), Tally::ZERO);
        assert!(datapath.status().evictions >= u64::from(FLOWS - (1 << 14)));
    });
}

/// Whoever reads is too slow: what found no place is known to the packet.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn half_a_million_flows_that_nobody_can_keep_up_with_are_accounted_for() {
    on_veth(1 << 10, |datapath, [one, two]| {
        let flood = thread::spawn(move || send(&mut Sender::at(one), 0..FLOWS));
        let mut ledger = Ledger::of_frames(FRAME);
        let mut read_at = 0;
        while !flood.is_finished() {
            // Each time the ring has overflowed.
            let seen = datapath.seen().packets;
            if seen - read_at > 8 * u64::from(STEP) {
                read_at = seen;
                ledger.read(datapath);
            }
            thread::yield_now();
        }
        flood.join().unwrap();
        ledger.close(datapath);
        let sent = datapath.counters(one).unwrap().transmit.tally;
        let received = datapath.counters(two).unwrap().receive.tally;
        assert_eq!(sent, frames(FLOWS.into()));
        let [counted, at_two] = [ledger.at(one)[1], ledger.at(two)[0]];
        let full = outcome(datapath, Outcome::FlowTableFull);
        assert!(full.packets > 0, "this was no stress");
        assert_eq!(counted + at_two + full, sent + received);
        assert!(ledger.flows.values().all(|counted| {
            counted.ingress + counted.egress == frames(1) && counted.entries == 1
        }));
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn ten_million_packets_are_counted() {
    const FLOWS: u32 = 10;
    const ROUNDS: u32 = 10;
    const REPEAT: u32 = 50_000;
    on_veth(1 << 14, |datapath, [one, two]| {
        let mut ledger = Ledger::of_frames(FRAME);
        for _ in 0..ROUNDS {
            for flow in 0..FLOWS {
                run_at(datapath, one, EGRESS, &frame(flow), REPEAT, None);
                run_at(datapath, two, INGRESS, &frame(flow), REPEAT, None);
            }
            ledger.read(datapath);
        }
        ledger.close(datapath);
        let each = u64::from(FLOWS * ROUNDS * REPEAT);
        assert_eq!(datapath.seen(), frames(10_000_000));
        assert_eq!(
            (ledger.at(one), ledger.at(two)),
            ([Tally::ZERO, frames(each)], [frames(each), Tally::ZERO],)
        );
        for flow in 0..FLOWS {
            let counted = ledger.flows[&sent_at(one, flow)];
            assert_eq!(counted.egress, frames((ROUNDS * REPEAT).into()));
        }
        let InterfaceCounters { receive, transmit } = datapath.counters(one).unwrap();
        assert_eq!((receive.tally, transmit.link_bytes), (Tally::ZERO, each * FRAME));
    });
}
