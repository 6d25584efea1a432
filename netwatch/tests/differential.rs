//! A million packets through netwatch's parser, through an independent one and through the kernel: all agree, or a named
//! rule of `differential/rules.rs` says why not.
//!
//! The packets follow from a seed, which is printed. `NETWATCH_SEED=N` takes another one, `NETWATCH_CASES=N` more packets.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "differential/generate.rs"]
mod generate;
#[path = "differential/kernel.rs"]
mod kernel;
#[path = "differential/plain.rs"]
mod plain;
#[path = "differential/promise.rs"]
mod promise;
#[path = "differential/rules.rs"]
mod rules;
mod support;

use std::{collections::BTreeMap, fmt::Write as _};

use fastrand::Rng;
use netwatch::{datapath::Datapath, model::InterfaceKind};
use netwatch_common::{
    flow::family,
    outcome::Outcome,
    parse::{self, Packet},
};
use rules::Rule;
use support::{
    netns::in_new_namespace,
    programs::{LO, options},
};

const SEED: u64 = 0x6e65_7477;
const CASES: u32 = 1_000_000;

fn number<T: std::str::FromStr>(variable: &str, default: T) -> T {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// How often the parsers agreed, and which rules explained the rest.
#[derive(Default)]
struct Explanations {
    agreed: u32,
    explained: u32,
    rules: BTreeMap<Rule, u32>,
    parsed: u32,
    inner: u32,
    quoted: u32,
}

impl Explanations {
    /// Compares what the two say of a packet, of the frame in it and of the packet that it quotes.
    fn compare(&mut self, bytes: &[u8]) {
        let ours = parse::parse(bytes);
        self.compare_one(bytes, ours);
        let Ok(packet) = ours else { return };
        self.parsed += 1;
        if packet.inner_at != 0 {
            self.inner += 1;
            compare_inner(bytes, packet.inner_at);
        }
        if packet.quoted_at != 0 {
            self.quoted += 1;
            compare_quoted(bytes, &packet);
        }
    }

    fn compare_one(&mut self, bytes: &[u8], ours: Result<Packet, Outcome>) {
        let plain = plain::read(bytes);
        if ours == plain {
            self.agreed += 1;
            return;
        }
        let (expected, rules) = promise::read(bytes);
        assert!(
            ours == expected && !rules.is_empty(),
            "netwatch:   {ours:?}\netherparse: {plain:?}\nexpected:   {expected:?} by {rules:?}\npacket:     {}",
            hex(bytes)
        );
        self.explained += 1;
        for rule in rules {
            *self.rules.entry(rule).or_default() += 1;
        }
    }
}

/// The frame in a tunnel reads as it does alone, further back.
fn compare_inner(bytes: &[u8], at: u32) {
    let alone = bytes.get(at as usize..).unwrap_or_default();
    let further_back = |offset: u32| if offset == 0 { 0 } else { offset + at };
    let expected = expected(alone).map(|packet| Packet {
        header_len: packet.header_len + at,
        end: packet.end + at,
        quoted_at: further_back(packet.quoted_at),
        inner_at: further_back(packet.inner_at),
        ..packet
    });
    assert_eq!(parse::parse_at(bytes, at), expected, "at {at} of {}", hex(bytes));
}

/// A quotation that is whole reads as the packet did; one that is cut off may still have ports.
fn compare_quoted(bytes: &[u8], message: &Packet) {
    let at = message.quoted_at as usize;
    let ether_type: [u8; 2] = if message.family == family::IPV4 { [8, 0] } else { [0x86, 0xdd] };
    let whole = [&[0; 12][..], &ether_type, bytes.get(at..).unwrap_or_default()].concat();
    let Ok(expected) = expected(&whole) else { return };
    let key = |packet: Packet| Packet {
        tcp_flags: 0,
        tcp_window: 0,
        tcp_acknowledgment: 0,
        header_len: 0,
        end: 0,
        quoted_at: 0,
        inner_at: 0,
        ..packet
    };
    let ours = parse::quoted(bytes, message.quoted_at, message.family);
    assert_eq!(ours.map(key), Ok(key(expected)), "at {at} of {}", hex(bytes));
}

/// What etherparse says, or what the rules make of it.
fn expected(bytes: &[u8]) -> Result<Packet, Outcome> {
    match promise::read(bytes) {
        (_, rules) if rules.is_empty() => plain::read(bytes),
        (expected, _) => expected,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[test]
fn a_million_packets_read_like_those_of_an_independent_parser() {
    let (seed, cases) = (number("NETWATCH_SEED", SEED), number("NETWATCH_CASES", CASES));
    let mut rng = Rng::with_seed(seed);
    let mut explanations = Explanations::default();
    for _ in 0..cases {
        let bytes = generate::packet(&mut rng);
        explanations.compare(&bytes);
    }
    println!(
        "seed {seed}: {cases} packets, {} of them parsed, {} with a frame inside, {} with a quotation; {} agreed, {} \
         explained:",
        explanations.parsed,
        explanations.inner,
        explanations.quoted,
        explanations.agreed,
        explanations.explained
    );
    for (rule, count) in &explanations.rules {
        println!("{count:8} {rule:?}");
    }
}

/// Packets between two readings of the flow table, which has room for all their flows.
const BATCH: usize = 8_000;

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_million_packets_are_counted_in_the_kernel_as_they_read_in_user_space() {
    let (seed, cases) = (number("NETWATCH_SEED", SEED), number("NETWATCH_CASES", CASES));
    in_new_namespace(move || {
        let mut datapath = Datapath::load(&options()).expect("loads");
        datapath.attach(LO, "lo", InterfaceKind::Veth).expect("attaches");
        let mut rng = Rng::with_seed(seed);
        let mut firsts = kernel::Firsts::default();
        let (mut ran, mut left_out, mut places) = (0, 0, 0);
        while ran < cases as usize {
            let mut batch: Vec<_> = (0..BATCH).map(|_| generate::packet(&mut rng)).collect();
            batch.retain(|bytes| kernel::runs(bytes) && !firsts.know(bytes));
            left_out += BATCH - batch.len();
            ran += batch.len();
            let counted = kernel::counted(&mut datapath, &batch);
            if counted != kernel::expected(&batch) {
                let (bytes, kernel, user) = kernel::culprit(&mut datapath, &batch)
                    .expect("a batch is counted otherwise, but none of its packets by itself");
                panic!("kernel: {kernel:?}\nuser:   {user:?}\npacket: {}", hex(&bytes));
            }
            places += counted.len();
        }
        println!(
            "seed {seed}: {ran} packets in the kernel, in {places} places; {left_out} left out"
        );
    });
}
