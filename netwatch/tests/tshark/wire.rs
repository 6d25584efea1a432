//! Real packets behind the hook, where they are on the wire: what the kernel made of those that netwatch weighed.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream, UdpSocket},
    process::Command,
    thread,
};

use netwatch::{
    datapath::Datapath,
    model::{InterfaceKind, Protocol, Tally},
};

use super::{
    support::{
        frames::Capture,
        ledger::Ledger,
        netns::{in_namespace, in_new_namespace},
        offload::no_tcp_segmentation,
        programs::options,
        veth::{self, Link},
        wait::until,
    },
    write_pcap,
};

/// Bytes that the client sends, and the server sends back.
const UP: usize = 4 << 20;
const DOWN: usize = 1 << 20;
const SERVER: &str = "10.0.0.2:80";
/// Bytes in datagrams, of which some fill a packet of an MTU and some are cut into fragments.
const DATAGRAMS: [usize; 5] = [0, 1_400, 1_472, 8_972, 20_000];

#[test]
#[ignore = "needs root and tshark: cargo xtask test"]
fn what_is_segmented_behind_the_hook_is_counted_as_tshark_sees_it() {
    segmented(1_500);
}

#[test]
#[ignore = "needs root and tshark: cargo xtask test"]
fn jumbo_frames_are_counted_as_tshark_sees_them() {
    segmented(9_000);
}

/// A TCP connection and some datagrams over a link of this MTU, which cuts what is larger.
fn segmented(mtu: u16) {
    in_new_namespace(move || {
        let link = veth::to_another_namespace(mtu.into());
        no_tcp_segmentation("here");
        in_namespace(&link.other, || no_tcp_segmentation("there"));
        let mut datapath = Datapath::load(&options()).expect("loads");
        datapath.attach(link.here, "here", InterfaceKind::Veth).expect("attaches");
        let there = link.there;
        let capture = in_namespace(&link.other, move || Capture::at(there));
        exchange(&link);

        let mut ledger = Ledger::default();
        let mut frames = Vec::new();
        until("as many packets have passed as were weighed", || {
            frames.extend(capture.frames());
            ledger.read(&mut datapath);
            (datapath.seen().segments == frames.len() as u64).then_some(())
        });
        ledger.close(&mut datapath);
        for protocol in [Protocol::TCP, Protocol::UDP] {
            let mut counted = [Tally::ZERO; 2];
            for (_, one) in ledger.flows.iter().filter(|(place, _)| place.protocol == protocol) {
                counted[0] += one.egress;
                counted[1] += one.ingress;
            }
            let seen = ["10.0.0.1", "10.0.0.2"].map(|source| seen(&frames, source, protocol));
            let wire = |tally: Tally| (tally.segments, tally.bytes);
            assert_eq!(
                counted.map(wire),
                seen.each_ref().map(|all| (all.len() as u64, all.iter().sum()))
            );
            let largest = seen[0].iter().max().copied();
            assert_eq!(largest, Some(u64::from(mtu) + 14), "{protocol:?} fills a packet");
            if protocol == Protocol::TCP {
                assert!(
                    counted[0].packets * 2 < counted[0].segments,
                    "nothing was cut: {counted:?}"
                );
            }
        }
    });
}

/// Until both ends have closed.
fn exchange(link: &Link) {
    let (listener, datagrams) = in_namespace(&link.other, || {
        (TcpListener::bind(SERVER).unwrap(), UdpSocket::bind(SERVER).unwrap())
    });
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        stream.write_all(&received[..DOWN]).unwrap();
        received.len()
    });
    let mut client = TcpStream::connect(SERVER).unwrap();
    client.write_all(&vec![7; UP]).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap();
    assert_eq!((server.join().unwrap(), received.len()), (UP, DOWN));
    let mut buffer = vec![0; 1 << 16];
    for length in DATAGRAMS {
        let sender = UdpSocket::bind("10.0.0.1:0").unwrap();
        sender.send_to(&vec![7; length], SERVER).unwrap();
        assert_eq!(datagrams.recv(&mut buffer).unwrap(), length);
    }
}

/// The lengths of all packets of a protocol from this address, as tshark reads them.
fn seen(frames: &[Vec<u8>], source: &str, protocol: Protocol) -> Vec<u64> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("wire.pcap");
    write_pcap(&file, frames.iter().map(Vec::as_slice));
    let filter = format!("ip.src == {source} && ip.proto == {}", protocol.0);
    let output = Command::new("tshark")
        .args(["-n", "-T", "fields", "-e", "frame.len", "-o", "ip.defragment:FALSE", "-Y", &filter])
        .arg("-r")
        .arg(file)
        .output()
        .expect("tshark starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|line| line.parse().expect("a length")).collect()
}
