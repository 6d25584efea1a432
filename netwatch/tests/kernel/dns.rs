//! DNS messages on their way to the agent.

use std::net::IpAddr;

use etherparse::PacketBuilder;
use netwatch::{
    datapath::{Datapath, Options},
    model::{EntrySide, InterfaceKind, Message, Protocol},
};
use netwatch_common::message::MESSAGE_BYTES;

use super::{
    A, B, EGRESS, INGRESS, LO, MAC_A, MAC_B, options, read, run, run_at,
    support::{cpu, shell},
    tcp, with_datapath,
};

fn messages(datapath: &mut Datapath) -> Vec<Message> {
    let mut messages = Vec::new();
    datapath.read_messages(|message| messages.push(message));
    messages
}

fn udp(source_port: u16, destination_port: u16, payload: &[u8]) -> Vec<u8> {
    let step =
        PacketBuilder::ethernet2(MAC_A, MAC_B).ipv4(A, B, 64).udp(source_port, destination_port);
    let mut bytes = Vec::new();
    step.write(&mut bytes, payload).unwrap();
    bytes
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_message_comes_whole_with_its_ends() {
    with_datapath(options(), |datapath| {
        let query: Vec<u8> = (0..40).collect();
        run(datapath, INGRESS, &udp(40_000, 53, &query), 1, None);
        let mut answer = udp(53, 40_000, &[7]);
        answer[26..30].copy_from_slice(&B);
        answer[30..34].copy_from_slice(&A);
        run(datapath, EGRESS, &answer, 1, None);
        let all = messages(datapath);
        assert_eq!(all.len(), 2);
        let one = &all[0];
        assert_eq!((one.ifindex, one.side, one.protocol), (LO, EntrySide::Ingress, Protocol::UDP));
        assert_eq!((one.source.address, one.source.port), (IpAddr::from(A), 40_000));
        assert_eq!((one.destination.address, one.destination.port), (IpAddr::from(B), 53));
        assert_eq!((one.len, &one.bytes[..]), (40, &query[..]));
        assert_eq!((all[1].side, all[1].len), (EntrySide::Egress, 1));
        assert!(all[0].time < all[1].time, "exact times");
        let flows = read(datapath);
        assert_eq!(flows.len(), 1, "they are in a flow all the same");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn over_tcp_and_ipv6_too() {
    with_datapath(options(), |datapath| {
        run(datapath, INGRESS, &tcp(40_000, 53, 0), 1, None);
        assert!(messages(datapath).is_empty(), "a handshake carries no message");
        run(datapath, INGRESS, &tcp(40_000, 53, 30), 1, None);
        let step =
            PacketBuilder::ethernet2(MAC_A, MAC_B).ipv6([1; 16], [2; 16], 64).udp(40_000, 53);
        let mut six = Vec::new();
        step.write(&mut six, &[1, 2, 3]).unwrap();
        run(datapath, INGRESS, &six, 1, None);
        let all = messages(datapath);
        assert_eq!(
            (all[0].protocol, all[0].len, &all[0].bytes[..]),
            (Protocol::TCP, 30, &[0; 30][..])
        );
        assert_eq!((all[1].source.address, &all[1].bytes[..]), ([1; 16].into(), &[1, 2, 3][..]));
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn other_ports_and_padding_are_no_messages() {
    with_datapath(options(), |datapath| {
        run(datapath, INGRESS, &udp(5353, 5353, &[0; 40]), 1, None);
        run(datapath, INGRESS, &udp(53_000, 5300, &[0; 40]), 1, None);
        let mut padded = udp(40_000, 53, &[]);
        padded.resize(60, 0xff);
        run(datapath, INGRESS, &padded, 1, None);
        assert!(messages(datapath).is_empty());
        let mut padded = udp(40_000, 53, &[9]);
        padded.resize(60, 0xff);
        run(datapath, INGRESS, &padded, 1, None);
        assert_eq!(
            messages(datapath)[0].bytes,
            [9][..],
            "the padding of a short frame is left out"
        );
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_long_message_is_cut_and_knows_its_length() {
    with_datapath(options(), |datapath| {
        for len in [511, 512, 513, 1400] {
            run(datapath, EGRESS, &udp(53, 40_000, &vec![5; len]), 1, None);
            let all = messages(datapath);
            assert_eq!((all[0].len as usize, all[0].bytes.len()), (len, len.min(MESSAGE_BYTES)));
        }
        // The IP header promises more than there is.
        let mut short = udp(53, 40_000, &[5; 100]);
        short.truncate(42 + 60);
        run(datapath, EGRESS, &short, 1, None);
        let all = messages(datapath);
        assert_eq!((all[0].len, all[0].bytes.len()), (100, 60));
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn more_than_the_rate_allows_is_counted() {
    with_datapath(Options { dns_rate: 100, ..options() }, |datapath| {
        cpu::stay_on_one();
        let begin = std::time::Instant::now();
        run(datapath, INGRESS, &udp(40_000, 53, &[0; 30]), 5_000, None);
        // At first a whole second's messages at once, then one each hundredth of a second.
        let refilled = u64::try_from(begin.elapsed().as_millis() / 10 + 1).expect("a moment");
        let read = messages(datapath).len() as u64;
        let status = datapath.status();
        assert!((100..=100 + refilled).contains(&read), "{read} with {refilled} refilled");
        assert_eq!(
            (status.messages, status.messages_over_rate, status.messages_lost),
            (read, 5_000 - read, 0)
        );
        std::thread::sleep(std::time::Duration::from_millis(60));
        run(datapath, INGRESS, &udp(40_000, 53, &[0; 30]), 3, None);
        assert_eq!(messages(datapath).len(), 3, "after a pause there is room again");
    });
}

/// One container that floods a name server does not keep the messages of others from being read.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn each_interface_has_a_rate_of_its_own() {
    with_datapath(Options { dns_rate: 100, ..options() }, |datapath| {
        cpu::stay_on_one();
        let veth = "link add name nwt0 index 7 type veth peer name nwt1";
        shell::run("ip", &veth.split(' ').collect::<Vec<_>>());
        datapath.attach(7, "nwt0", InterfaceKind::Veth).expect("attaches");
        let query = udp(40_000, 53, &[0; 30]);
        run(datapath, INGRESS, &query, 5_000, None);
        assert!(datapath.status().messages_over_rate > 4_000);
        messages(datapath);
        run_at(datapath, 7, INGRESS, &query, 50, None);
        let all = messages(datapath);
        assert_eq!(all.iter().filter(|message| message.ifindex == 7).count(), 50);
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_full_ring_loses_messages_and_says_how_many() {
    with_datapath(Options { dns_rate: 1_000_000, ..options() }, |datapath| {
        run(datapath, INGRESS, &udp(40_000, 53, &[0; 60]), 20_000, None);
        let read = messages(datapath).len() as u64;
        let status = datapath.status();
        assert_eq!(
            (status.messages, status.messages_over_rate, status.messages_lost),
            (read, 0, 20_000 - read)
        );
        // 512 KiB less a byte, of which each takes 56 + 60 bytes and the kernel's 8, rounded up to 8.
        assert_eq!(read, ((512 << 10) - 1) / 128);
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn at_rate_0_none_are_read() {
    with_datapath(Options { dns_rate: 0, ..options() }, |datapath| {
        run(datapath, INGRESS, &udp(40_000, 53, &[0; 60]), 10, None);
        assert!(messages(datapath).is_empty());
        assert_eq!(datapath.status().messages_over_rate, 0);
    });
}
