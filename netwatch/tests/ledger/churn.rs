//! Interfaces that come and go while there is traffic on others.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use netwatch::{
    datapath::Datapath,
    model::{InterfaceCounters, InterfaceKind, Tally},
};
use netwatch_common::outcome::Outcome;

use super::{
    FRAME, frame, frames, on_veth, received_at, send, sent_at,
    support::{
        counters,
        frames::Sender,
        ledger::{Ledger, outcome},
        shell::run,
        wait::until,
    },
};

const ROUNDS: u32 = 40;
/// Flows of an interface that comes and goes.
const FLOWS: u32 = 200;
/// An interface that comes and goes.
const INDEX: u32 = 5_000;
/// Interfaces with the same index one after the other, and with others in the same set of the interface table
/// (`INTERFACE_SETS` apart).
const INDEXES: [u32; 3] = [INDEX, INDEX + 1_024, INDEX];

#[test]
#[ignore = "needs root: cargo xtask test"]
fn no_packet_is_lost_when_interfaces_come_and_go() {
    on_veth(1 << 14, |datapath, [one, two]| {
        let stop = Arc::new(AtomicBool::new(false));
        let steady = steady(one, &stop);
        let mut ledger = Ledger::of_frames(FRAME);
        let mut gone = Tally::ZERO;
        for round in 0..ROUNDS {
            gone += live_and_die(datapath, &mut ledger, round);
        }
        stop.store(true, Ordering::Relaxed);
        let sent = steady.join().unwrap();
        ledger.close(datapath);

        // The interface that was there all the time has not lost a packet.
        let kernel = counters::of_kernel();
        assert_eq!(ledger.flows[&sent_at(one, 0)].egress, frames(sent));
        let arrived = frames(kernel["two"].receive_packets);
        assert_eq!(ledger.flows[&received_at(two, 0)].ingress, arrived);
        // And what those had seen that came and went is in the sum of all.
        assert_eq!(datapath.seen(), frames(sent) + arrived + gone);
        assert_eq!(datapath.attached().len(), 2);
    });
}

/// An interface that goes, or that we leave, in the middle of its traffic: what it has seen until then is known.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_interface_may_go_in_the_middle_of_its_traffic() {
    on_veth(1 << 14, |datapath, _| {
        let mut ledger = Ledger::of_frames(FRAME);
        for round in 0..20 {
            make_pair(datapath, INDEX);
            let flow = 1_000 + round;
            let sender = thread::spawn(move || {
                let mut sender = Sender::at(INDEX);
                let frame = frame(flow);
                let mut sent = 0;
                while sender.try_send(&frame) {
                    sent += 1;
                }
                sent
            });
            until("there is traffic", || {
                let counters = datapath.counters(INDEX).expect("observed");
                (counters.transmit.tally.packets > 1_000).then_some(())
            });
            let leaves_first = round.is_multiple_of(2);
            let left = leaves_first.then(|| leave(datapath, &mut ledger));
            run("ip", &["link", "delete", "come"]);
            let sent: u64 = sender.join().unwrap();
            let counted = left.unwrap_or_else(|| leave(datapath, &mut ledger));
            ledger.read(datapath);
            let [_, seen] = counted;
            assert_eq!(ledger.flows[&sent_at(INDEX, flow)].egress, seen, "round {round}");
            if leaves_first {
                assert!(seen.packets <= sent, "round {round}: {seen:?} of {sent}");
            } else {
                // The last one may be on its way when the interface goes.
                assert!(seen.packets.abs_diff(sent) <= 1, "round {round}: {seen:?} of {sent}");
            }
        }
        ledger.close(datapath);
        assert_eq!(outcome(datapath, Outcome::UnknownInterface), Tally::ZERO);
    });
}

/// Lets go of the pair; answers with what the one end has received and transmitted.
fn leave(datapath: &mut Datapath, ledger: &mut Ledger) -> [Tally; 2] {
    ledger.read(datapath);
    datapath.detach(INDEX + 1).expect("its counters");
    let InterfaceCounters { receive, transmit } = datapath.detach(INDEX).expect("its counters");
    [receive.tally, transmit.tally]
}

/// Sends through an interface until told to stop; says how many.
fn steady(ifindex: u32, stop: &Arc<AtomicBool>) -> JoinHandle<u64> {
    let stop = stop.clone();
    thread::spawn(move || {
        let mut sender = Sender::at(ifindex);
        let frame = frame(0);
        let mut sent = 0;
        while !stop.load(Ordering::Relaxed) {
            sender.send(&frame);
            sent += 1;
        }
        sent
    })
}

/// A pair `come` and `go` with this index and the next one, observed and up.
fn make_pair(datapath: &mut Datapath, index: u32) -> [(u32, &'static str); 2] {
    let numbers = [index, index + 1].map(|number| number.to_string());
    run(
        "ip",
        &[
            "link",
            "add",
            "come",
            "index",
            &numbers[0],
            "type",
            "veth",
            "peer",
            "name",
            "go",
            "index",
            &numbers[1],
        ],
    );
    let ends = [(index, "come"), (index + 1, "go")];
    for (ifindex, name) in ends {
        datapath.attach(ifindex, name, InterfaceKind::Veth).expect("attaches");
    }
    // In this order the one that sends can do so at once: see `veth::pair`.
    for name in ["go", "come"] {
        run("ip", &["link", "set", name, "up"]);
    }
    ends
}

/// A pair is made, observed, sent through, and deleted; says what its ends had seen.
fn live_and_die(datapath: &mut Datapath, ledger: &mut Ledger, round: u32) -> Tally {
    let index = INDEXES[round as usize % INDEXES.len()];
    let ends = make_pair(datapath, index);
    let before = [index, index + 1].map(|ifindex| ledger.at(ifindex));
    // Flows of its own in each round: a place in the table is found by the interface's slot, which others have had.
    let flows = 1_000 + round * FLOWS..1_000 + (round + 1) * FLOWS;
    send(&mut Sender::at(index), flows.clone());
    // Sometimes the kernel is first, as when a container ends; sometimes we are.
    let kernel = counters::of_kernel();
    let is_gone_first = round.is_multiple_of(2);
    if is_gone_first {
        run("ip", &["link", "delete", "come"]);
    }
    ledger.read(datapath);
    let final_counters = ends.map(|(ifindex, _)| datapath.detach(ifindex).expect("its counters"));
    if !is_gone_first {
        run("ip", &["link", "delete", "come"]);
    }
    for ((ifindex, name), counted) in ends.into_iter().zip(final_counters) {
        let InterfaceCounters { receive, transmit } = counted;
        let kernel = kernel[name];
        assert_eq!(
            [receive.tally, transmit.tally],
            [frames(kernel.receive_packets), frames(kernel.transmit_packets)],
            "{name} in round {round}"
        );
        assert_eq!(
            [receive.link_bytes, transmit.link_bytes],
            [kernel.receive_bytes, kernel.transmit_bytes],
        );
        let [ingress, egress] = before[(ifindex - index) as usize];
        assert_eq!(
            ledger.at(ifindex),
            [ingress + receive.tally, egress + transmit.tally],
            "{name} in round {round}: all of it in flows of this interface"
        );
    }
    for flow in flows {
        assert_eq!(ledger.flows[&sent_at(index, flow)].egress, frames(1));
    }
    final_counters.iter().fold(Tally::ZERO, |sum, one| sum + one.receive.tally + one.transmit.tally)
}
