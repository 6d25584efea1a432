//! What the datapath tells beside flows: dropped packets, DNS messages, what is in tunnels, samples, and what it was asked to
//! leave out.

use std::{collections::BTreeSet, os::unix::fs::MetadataExt as _};

use anyhow::{Result, ensure};
use etherparse::PacketBuilder;
use netwatch::{
    datapath::ends,
    model::{DropSite, DroppedPacket, Protocol, Sample, Socket, Tally},
};
use netwatch_common::outcome::Outcome;

use crate::{
    exact::{self, Talk},
    network::{Family, Network, Node},
    observer::Observer,
    traffic::{self, ROUNDS, SMALL},
    witness::Way,
};

/// A port that the filter leaves out.
pub const EXCLUDED: u16 = 9_999;
const DNS: u16 = 53;
const VXLAN: u16 = 4_789;
/// A datagram passes the hooks of both ends.
const HOOKS: u64 = 2;
/// There and back.
const WAYS: u64 = 2;
/// The namespace, as we number it.
const WEB: u32 = 7;
/// One packet in so many is sampled, in as many conversations.
const RATE: u32 = 4;
const CONVERSATIONS: u64 = 80;

/// Nobody listens: the kernel of the receiver drops each datagram, and says why from 5.17 on.
pub fn drop_reasons(observer: &mut Observer, network: &Network) -> Result<String> {
    let Network { cli, web, .. } = network;
    let datapath = observer.datapath();
    ensure!(datapath.counts_drops(), "{:?}", datapath.features().collect::<Vec<_>>());
    let number = web.namespace.file().metadata()?.ino().try_into()?;
    datapath.observe_namespace(number, WEB)?;
    let to = traffic::to_nobody(cli, web, Family::V4)?;
    let mut reasons = BTreeSet::new();
    let mut told: Vec<DroppedPacket> = Vec::new();
    exact::until(|| {
        let datapath = observer.datapath();
        datapath.refresh_clock();
        told.extend(datapath.read_dropped_packets());
        told.retain(|packet| packet.destination == to);
        reasons.extend(told.iter().map(|packet| packet.reason.to_string()));
        Ok(same("packets told", told.len() as u64, ROUNDS))
    })?;
    let inside = |site| matches!(site, DropSite::Inside { namespace: WEB, .. });
    ensure!(told.iter().all(|packet| inside(packet.site)), "elsewhere: {told:?}");
    let mut counted = 0;
    observer.datapath().read_drop_counts(|count| {
        let is_that = count.site.is_some_and(inside) && reasons.contains(&*count.reason);
        counted += if is_that { count.packets } else { 0 };
    });
    observer.datapath().forget_namespace(number, WEB);
    // Where the kernel does not tell reasons, what it drops of its own accord is under the same.
    let is_told = !reasons.contains("not-told");
    ensure!(
        if is_told { counted == ROUNDS } else { counted >= ROUNDS },
        "{counted} counted, {ROUNDS} told: {reasons:?}"
    );
    let how = if is_told { "exact" } else { "yes" };
    Ok(format!("{how} ({})", Vec::from_iter(reasons).join(", ")))
}

/// Each message, whole, from each hook that it passes.
pub fn dns_messages(observer: &mut Observer, cli: &Node, web: &Node) -> Result<String> {
    // A query for the address of "web" (RFC 1035, section 4).
    let query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03web\x00\x00\x01\x00\x01";
    let way = traffic::datagrams(cli, web, Family::V4, DNS, query)?;
    let mut messages = 0;
    let mut wrong = None;
    exact::until(|| {
        observer.datapath().read_messages(|message| {
            let is_known = is_of(way, message.source, message.destination);
            if is_known && message.bytes == query[..] && message.len as usize == query.len() {
                messages += 1;
            } else {
                wrong = Some(format!("{message:?}"));
            }
        });
        Ok(same("messages", messages, ROUNDS * WAYS * HOOKS))
    })?;
    ensure!(wrong.is_none(), "another message: {wrong:?}");
    let status = observer.datapath().status();
    ensure!((status.messages_over_rate, status.messages_lost) == (0, 0), "{status:?}");
    Ok("exact".into())
}

/// A frame in VXLAN is a flow of its own, which is in no sum.
pub fn tunnels(observer: &mut Observer, cli: &Node, web: &Node) -> Result<String> {
    let ends = [("10.99.0.1", 1_111), ("10.99.0.2", 2_222)]
        .map(|(address, port)| Ok::<_, anyhow::Error>(Socket { address: address.parse()?, port }));
    let [source, destination] = ends;
    let inner = Way { source: source?, destination: destination?, protocol: Protocol::UDP };
    let mut packet = vec![8, 0, 0, 0, 0, 0, 42, 0];
    let header = packet.len();
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([10, 99, 0, 1], [10, 99, 0, 2], 64)
        .udp(inner.source.port, inner.destination.port)
        .write(&mut packet, &[b'n'; SMALL])?;
    let mut talk = Talk::between(cli, web, Family::V4)?;
    let outer = traffic::datagrams(cli, web, Family::V4, VXLAN, &packet)?;
    talk.is_exact(observer, outer)?;
    let bytes = ROUNDS * u64::try_from(packet.len() - header)?;
    let want = Tally { packets: ROUNDS, segments: ROUNDS, bytes };
    for (node, sent) in [(cli, true), (web, false)] {
        let have = observer.count(node, sent, inner);
        ensure!(have == want, "inside, at {}: {have:?}, not {want:?}", node.name);
    }
    Ok("exact".into())
}

/// At a rate of one in one every packet is told with its length; at another rate about as many as it says.
pub fn sampling(observer: &mut Observer, cli: &Node, web: &Node) -> Result<String> {
    observer.datapath().read_samples(drop);
    let way = traffic::udp(cli, web, Family::V4, SMALL)?;
    let bytes = u32::try_from(14 + 20 + 8 + SMALL)?;
    let each = ROUNDS * WAYS * HOOKS;
    let mut samples: Vec<Sample> = Vec::new();
    exact::until(|| {
        observer.datapath().read_samples(|sample| samples.extend(Some(sample)));
        samples.retain(|sample| {
            ends(sample).is_ok_and(|ends| is_of(way, ends.source, ends.destination))
        });
        Ok(same("samples", samples.len() as u64, each))
    })?;
    let is_right =
        |sample: &Sample| (sample.wire_len, sample.segments, sample.rate) == (bytes, 1, 1);
    ensure!(samples.iter().all(is_right), "{samples:?}");

    observer.datapath().set_sample_rate(RATE);
    let mut ways = Vec::new();
    for _ in 0..CONVERSATIONS {
        ways.push(traffic::udp(cli, web, Family::V4, SMALL)?);
    }
    let mut drawn = 0;
    observer.datapath().read_samples(|sample| {
        let ends = ends(&sample).ok();
        let is_one = ends
            .is_some_and(|ends| ways.iter().any(|way| is_of(*way, ends.source, ends.destination)));
        drawn += u64::from(is_one && sample.rate == RATE);
    });
    observer.datapath().set_sample_rate(1);
    let all = each * CONVERSATIONS;
    // Eight standard deviations (of 17) around a quarter.
    ensure!(drawn.abs_diff(all / u64::from(RATE)) < 140, "{drawn} of {all} at 1 in {RATE}");
    let lost = observer.datapath().status().samples_lost;
    ensure!(lost == 0, "{lost} samples lost");
    Ok(format!("exact; and {drawn} of {all} at 1 in {RATE}"))
}

/// What is excluded has an outcome and no flow.
pub fn filter(observer: &mut Observer, cli: &Node, web: &Node) -> Result<String> {
    let before = observer.outcome(Outcome::Filtered);
    let mut talk = Talk::between(cli, web, Family::V4)?;
    let way = traffic::datagrams(cli, web, Family::V4, EXCLUDED, &[b'n'; SMALL])?;
    exact::until(|| {
        observer.read();
        let (counted, seen) = talk.sums(observer, way, way)?;
        ensure!(counted.is_zero(), "in a flow: {counted:?}");
        let filtered = observer.outcome(Outcome::Filtered).since(before);
        let right = filtered == seen && seen.packets == ROUNDS * WAYS * HOOKS;
        Ok(if right { Ok(()) } else { Err(format!("filtered {filtered:?}, not {seen:?}")) })
    })?;
    exact::ledger(observer)?;
    Ok("exact".into())
}

fn is_of(way: Way, source: Socket, destination: Socket) -> bool {
    [way, way.back()].iter().any(|way| (way.source, way.destination) == (source, destination))
}

fn same(what: &str, have: u64, want: u64) -> Result<(), String> {
    if have == want { Ok(()) } else { Err(format!("{have} {what}, not {want}")) }
}
