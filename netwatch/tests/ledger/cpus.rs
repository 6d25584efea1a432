//! Several CPUs at one interface, and one CPU that sends and receives at the same time.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::Barrier,
    thread,
};

use netwatch::{
    datapath::Datapath,
    model::{InterfaceKind, Protocol, Socket, Tally},
};
use netwatch_common::outcome::Outcome;

use super::{
    FRAME, alone, frame, frames, on_veth, received_at, send, sent_at,
    support::{
        counters, cpu,
        frames::Sender,
        ledger::{Ledger, Place, outcome},
        netns::in_namespace,
        programs::options,
        shell::run,
        veth,
    },
};

/// Flows that each of the two CPUs has for itself, behind those that both have.
const OWN: u32 = 1_000;
const SHARED: u32 = 100;
/// How often a packet of each is sent.
const ROUNDS: u32 = 250;

/// Two CPUs send at once, also in the same flows, while the flows are read all the time.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn two_cpus_send_at_once_while_the_flows_are_read() {
    // So many that in no set of places there are more flows than it has.
    on_veth(1 << 17, |datapath, [one, two]| {
        let begin = std::sync::Arc::new(Barrier::new(2));
        let mut number = 0;
        let writers = cpu::two().map(|cpu| {
            let own = SHARED + number * OWN..SHARED + (number + 1) * OWN;
            number += 1;
            let begin = begin.clone();
            thread::spawn(move || {
                cpu::stay_on(cpu);
                let mut sender = Sender::at(one);
                begin.wait();
                for _ in 0..ROUNDS {
                    send(&mut sender, (0..SHARED).chain(own.clone()));
                }
            })
        });
        let mut ledger = Ledger::of_frames(FRAME);
        while writers.iter().any(|writer| !writer.is_finished()) {
            ledger.read(datapath);
        }
        for writer in writers {
            writer.join().unwrap();
        }
        ledger.close(datapath);
        let rounds = u64::from(ROUNDS);
        for flow in 0..SHARED + 2 * OWN {
            let writers = if flow < SHARED { 2 } else { 1 };
            let counted = ledger.flows[&sent_at(one, flow)];
            assert_eq!(counted.egress, frames(writers * rounds), "{flow}");
            assert_eq!(u64::from(counted.entries), writers, "{flow}: one entry for each CPU");
        }
        let portions = ledger.flows.values().filter(|counted| counted.readings > counted.entries);
        assert!(portions.count() > 0, "nobody read while they wrote");
        // What a CPU has no room for in its backlog does not arrive: that is the kernel's to say.
        let kernel = counters::of_kernel();
        let sent = frames(2 * rounds * u64::from(SHARED + OWN));
        let arrived = frames(kernel["two"].receive_packets);
        assert_eq!(datapath.counters(one).unwrap().transmit.tally, sent);
        assert_eq!(datapath.counters(two).unwrap().receive.tally, arrived);
        assert_eq!(ledger.at(two), [arrived, Tally::ZERO]);
        assert_eq!(datapath.seen(), sent + arrived);
    });
}

/// A process on a CPU sends in a flow whose packets the same CPU receives meanwhile, in interrupts: both write the same
/// entry.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_cpu_that_sends_while_it_receives_counts_both() {
    const EACH: u64 = 200_000;
    // Few entries are read the oftener.
    on_veth(1 << 4, |datapath, [one, two]| {
        let [here, there] = cpu::two();
        receive_on("two", here);
        let begin = std::sync::Arc::new(Barrier::new(2));
        // The same flow, seen from its other end.
        let forward = frame(0);
        let mut back = forward.clone();
        back[26..34].rotate_left(4);
        back[34..38].rotate_left(2);
        let writers = [(there, one, forward), (here, two, back)].map(|(cpu, ifindex, frame)| {
            let begin = begin.clone();
            thread::spawn(move || {
                cpu::stay_on(cpu);
                let mut sender = Sender::at(ifindex);
                begin.wait();
                for _ in 0..EACH {
                    sender.send(&frame);
                }
            })
        });
        let mut ledger = Ledger::of_frames(FRAME);
        while writers.iter().any(|writer| !writer.is_finished()) {
            ledger.read(datapath);
        }
        for writer in writers {
            writer.join().unwrap();
        }
        until_received(&mut ledger, datapath, "two");
        ledger.close(datapath);
        let kernel = counters::of_kernel();
        let [forth, back] = ["two", "one"].map(|name| frames(kernel[name].receive_packets));
        let both = ledger.flows[&received_at(two, 0)];
        assert_eq!((both.ingress, both.egress), (forth, frames(EACH)));
        assert_eq!(both.entries, 1, "one CPU did both");
        assert_eq!(ledger.at(one), [back, frames(EACH)]);
        assert_eq!(outcome(datapath, Outcome::FlowEntryBusy), Tally::ZERO);
    });
}

/// Has what an interface receives received on this CPU (Documentation/networking/scaling.rst, RPS).
fn receive_on(interface: &str, cpu: usize) {
    // The /sys that is mounted shows another namespace's interfaces.
    let script = format!(
        "mount -t sysfs sysfs /sys && echo {:x} > /sys/class/net/{interface}/queues/rx-0/rps_cpus",
        1_u64 << cpu
    );
    run("unshare", &["--mount", "sh", "-c", &script]);
}

/// Waits until the backlog of what was sent is empty.
fn until_received(ledger: &mut Ledger, datapath: &mut Datapath, interface: &str) {
    super::support::wait::until("all has been received", || {
        ledger.read(datapath);
        let index = veth::index(interface);
        let kernel = counters::of_kernel()[interface].receive_packets;
        (datapath.counters(index).unwrap().receive.tally.packets == kernel).then_some(())
    });
}

/// Client and server on one CPU: sends, softirqs and receptions of both take turns there.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_echo_within_one_cpu_is_counted_to_the_byte() {
    const ROUNDS: u64 = 20_000;
    alone(|| {
        cpu::stay_on_one();
        let link = veth::to_another_namespace(1_500);
        let mut datapath = Datapath::load(&options()).expect("loads");
        datapath.attach(link.here, "here", InterfaceKind::Veth).expect("attaches");
        let server = in_namespace(&link.other, || UdpSocket::bind("10.0.0.2:7").unwrap());
        let client = UdpSocket::bind("10.0.0.1:4000").unwrap();
        client.connect("10.0.0.2:7").unwrap();
        // Its clock is that of the test: one that waits for a packet that got lost fails.
        for socket in [&server, &client] {
            socket.set_read_timeout(Some(super::support::wait::PATIENCE)).unwrap();
        }
        let before = counters::of_kernel()["here"];
        let echo = thread::spawn(move || {
            let mut buffer = [0; 64];
            for _ in 0..ROUNDS {
                let (length, from) = server.recv_from(&mut buffer).unwrap();
                server.send_to(&buffer[..length], from).unwrap();
            }
        });
        let mut ledger = Ledger::default();
        for round in 0..ROUNDS {
            client.send(&[0; 18]).unwrap();
            assert_eq!(client.recv(&mut [0; 64]).unwrap(), 18);
            if round % 1_000 == 0 {
                ledger.read(&mut datapath);
            }
        }
        echo.join().unwrap();
        ledger.close(&mut datapath);
        let socket = |address: &str| {
            let address: SocketAddr = address.parse().unwrap();
            Socket { address: address.ip(), port: address.port() }
        };
        // On this side it is the server's packets that come in.
        let place = Place {
            ifindex: link.here,
            local: socket("10.0.0.2:7"),
            remote: socket("10.0.0.1:4000"),
            protocol: Protocol::UDP,
        };
        let counted = ledger.flows[&place];
        assert_eq!((counted.ingress, counted.egress), (frames(ROUNDS), frames(ROUNDS)));
        assert_eq!((counted.entries, outcome(&datapath, Outcome::FlowEntryBusy)), (1, Tally::ZERO));
        // Besides the echoes there was ARP.
        let kernel = counters::of_kernel()["here"].since(before);
        let here = datapath.counters(link.here).unwrap();
        assert_eq!(
            (here.receive.tally.packets, here.receive.link_bytes),
            (kernel.receive_packets, kernel.receive_bytes)
        );
        assert_eq!(
            (here.transmit.tally.packets, here.transmit.link_bytes),
            (kernel.transmit_packets, kernel.transmit_bytes)
        );
        assert!(kernel.receive_bytes >= ROUNDS * FRAME);
    });
}
