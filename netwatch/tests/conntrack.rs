//! What the kernel tells of a great many connections, in a namespace of its own.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::{collections::HashSet, net::UdpSocket, time::Duration};

use netwatch::{
    identity::{Connection, Conntrack, Tracked},
    model::Instant,
};
use support::{netns::in_new_namespace, serial, shell::run};

const PORTS: std::ops::Range<u16> = 10_000..15_000;
const SENDERS: usize = 4;

/// A packet to a port, which is a connection for the kernel.
fn call(sender: &UdpSocket, port: u16) {
    // A refusal of an earlier one is told at the next.
    while sender.send_to(b"x", ("127.0.0.1", port)).is_err() {}
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_long_listing_comes_in_pieces_and_holds_back_nothing() {
    let _alone = serial::alone();
    in_new_namespace(|| {
        run("ip", &["link", "set", "lo", "up"]);
        let track = ["-w", "-A", "OUTPUT", "-m", "conntrack", "--ctstate", "NEW", "-j", "ACCEPT"];
        run("iptables", &track);
        let senders: Vec<_> =
            (0..SENDERS).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        for sender in &senders {
            PORTS.for_each(|port| call(sender, port));
        }

        let mut conntrack = Conntrack::open().unwrap();
        let (mut known, mut begun) = (HashSet::new(), 0);
        let (mut now, mut readings) = (Instant(1), 0);
        let is_ours = |connection: &Connection| PORTS.contains(&connection.original.1.port);
        let all = PORTS.len() * SENDERS;
        while known.len() < all {
            assert!(readings < 1_000, "{} of {all} in {readings} readings", known.len());
            // One that begins is told by the next reading, however many have still to be listed.
            let port = 20_000 + readings;
            call(&senders[0], port);
            let mut heard = Vec::new();
            let before = known.len();
            conntrack.read(now, |tracked| match tracked {
                Tracked::New(connection) => heard.push(connection.original.1.port),
                Tracked::Known(connection) if is_ours(&connection) => {
                    known.insert(connection.original);
                }
                Tracked::Known(_) => {}
                Tracked::Lost => panic!("nothing is lost"),
            });
            assert!(heard.contains(&port), "{port} in {heard:?}");
            assert!(known.len() - before < all / 4, "a piece, and not {}", known.len() - before);
            begun += heard.len();
            now = now.after(Duration::from_millis(10));
            readings += 1;
        }
        assert!(begun >= usize::from(readings) && conntrack.lacking().is_none());
    });
}
