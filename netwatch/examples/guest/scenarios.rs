//! The datapath on this kernel: load, attach, count exactly, detach, in the order of a table's rows.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use netwatch::{
    datapath::{AttachMode, Datapath, Options},
    model::{Exclusion, FlowPhase, Protocol, Tally},
};
use netwatch_common::outcome::Outcome;

use crate::{
    beside::{self, EXCLUDED},
    exact::{self, Talk},
    features,
    network::{Family, Network, Node},
    observer::{Observer, options},
    report::Report,
    traffic::{self, FRAGMENTED, LARGE, ROUNDS, SMALL},
    witness::{TAG, Way},
};

/// More flows than one set of the smallest table has room for.
const FLOWS_TO_EVICT: usize = 40;

const ETHERNET: usize = 14;
const UDP: usize = 8;
const ECHO: usize = 8;

type Traffic = fn(&Node, &Node, Family, usize) -> Result<Way>;

/// All of it. What cannot be without something that failed is left out: the report has a failure then. Answers whether the
/// programs load at all.
pub fn run(report: &mut Report, network: &Network) -> bool {
    let mut loaded = None;
    let loads = report.check("loads", || {
        let begin = Instant::now();
        loaded = Some(Observer::load(&options())?);
        Ok(format!("yes; in {:.1} s, emulated", begin.elapsed().as_secs_f64()))
    });
    let Some(mut observer) = loaded.filter(|_| loads) else { return false };
    report.check("loads-with-messages", || {
        Datapath::load(&Options { messages: true, ..options() })?;
        Ok("yes".into())
    });
    if let Err(error) = features::programs(report, observer.datapath()) {
        report.failed("tells-of-its-programs", &error);
    }
    observe(report, network, &mut observer);
    drop(observer);
    report.check("leaves-nothing-behind", nothing_is_left);
    by_clsact(report, network);
    true
}

fn observe(report: &mut Report, network: &Network, observer: &mut Observer) {
    let Network { cli, web, host } = network;
    let attached = report.check("attaches-to-veth-and-bridge", || {
        for node in [cli, web, host] {
            observer.attach(node)?;
        }
        Ok(observer.datapath().attach_kind().into())
    });
    if !attached {
        return;
    }
    for (suffix, family) in [
        ("ipv4", Family::V4),
        ("ipv6", Family::V6),
        ("vlan-ipv4", Family::V4Tagged),
        ("vlan-ipv6", Family::V6Tagged),
    ] {
        let ip = if family.is_v4() { 20 } else { 40 } + if family.is_tagged() { TAG } else { 0 };
        let scenarios: [(&str, Traffic, Option<usize>); 3] = [
            ("tcp", traffic::tcp, None),
            ("udp", traffic::udp, Some(ETHERNET + ip + UDP + SMALL)),
            ("echo", traffic::echo, Some(ETHERNET + ip + ECHO + SMALL)),
        ];
        for (name, traffic, bytes) in scenarios {
            report.check(&format!("{name}-{suffix}"), || {
                let mut talk = Talk::between(cli, web, family)?;
                let seen = talk.is_exact(observer, traffic(cli, web, family, SMALL)?)?;
                // How many packets TCP makes of it is its own affair; the others make one of each.
                bytes.map_or(Ok(seen.detail()), |bytes| Ok(seen.was(ROUNDS, bytes)?.detail()))
            });
        }
    }
    for (suffix, family) in [("ipv4", Family::V4), ("ipv6", Family::V6)] {
        report.check(&format!("segmented-tcp-{suffix}"), || {
            let mut talk = Talk::between(cli, web, family)?;
            let seen = talk.is_exact(observer, traffic::tcp(cli, web, family, LARGE)?)?;
            ensure!(seen.sent.segments > seen.sent.packets, "nothing was segmented: {seen:?}");
            Ok(seen.detail())
        });
        let _ =
            report.check(&format!("fragments-{suffix}"), || fragments(observer, cli, web, family));
        report.check(&format!("at-the-bridge-{suffix}"), || {
            let mut talk = Talk::between(cli, host, family)?;
            let seen = talk.is_exact(observer, traffic::tcp(cli, host, family, SMALL)?)?;
            Ok(seen.detail())
        });
    }
    report.check("drop-reasons", || beside::drop_reasons(observer, network));
    report.check("dns-messages", || beside::dns_messages(observer, cli, web));
    report.check("tunnels", || beside::tunnels(observer, cli, web));
    report.check("ledger", || {
        exact::ledger(observer)?;
        Ok(format!("exact; {} packets in flows", observer.counted().packets))
    });
    report.check("samples", || beside::sampling(observer, cli, web));
    report.check("each-packet-in-one-flow", || counted_once(observer, cli, web));
    report.check("detaches", || {
        for node in [cli, web, host] {
            observer.detach(node)?;
        }
        exact::ledger(observer)?;
        Ok("yes".into())
    });
}

/// Datagrams in three pieces each, of which the first has the ports. The later ones are in the same flow, or counted as
/// later fragments.
fn fragments(observer: &mut Observer, cli: &Node, web: &Node, family: Family) -> Result<String> {
    let mut talk = Talk::between(cli, web, family)?;
    let before = observer.outcome(Outcome::LaterFragment);
    let way = traffic::udp(cli, web, family, FRAGMENTED)?;
    let mut joined = Tally::ZERO;
    exact::until(|| {
        observer.read();
        let (have, want) = talk.sums(observer, way, way.without_ports())?;
        joined = have;
        let later = observer.outcome(Outcome::LaterFragment).since(before);
        // Three pieces of each datagram, there and back, at both ends.
        let right = have + later == want && want.segments == 3 * 2 * 2 * ROUNDS;
        Ok(if right { Ok(()) } else { Err(format!("{have:?} and {later:?} later, not {want:?}")) })
    })?;
    let of_three = 3 * joined.segments / (3 * 2 * 2 * ROUNDS);
    Ok(format!("exact ({of_three} of 3 in the flow)"))
}

/// Seen at two interfaces, told once by the tracker.
fn counted_once(observer: &mut Observer, cli: &Node, web: &Node) -> Result<String> {
    let mut talk = Talk::between(cli, web, Family::V4)?;
    let way = traffic::udp(cli, web, Family::V4, SMALL)?;
    let seen = talk.is_exact(observer, way)?;
    let events = observer.finish();
    let end = events.iter().find(|event| {
        let flow = &event.flow;
        matches!(event.phase, FlowPhase::End(_))
            && (flow.client.socket, flow.server.socket, flow.protocol)
                == (way.source, way.destination, way.protocol)
    });
    let flow = &end.context("no such flow has ended")?.flow;
    ensure!((flow.sent, flow.received) == (seen.sent, seen.received), "{flow:?}, not {seen:?}");
    let (tracked, counted) = (observer.tracked(), observer.counted());
    ensure!(tracked == counted, "the tracker took up {tracked:?} of {counted:?}");
    Ok("exact".into())
}

/// As on kernels without TCX, which is every kernel's other way; with a filter; and with a table of one set, where nearly every
/// flow has to give way to the next. All in one, since it is the loading that takes long.
fn by_clsact(report: &mut Report, network: &Network) {
    let Network { cli, web, .. } = network;
    let mut attached = None;
    report.check("by-clsact", || {
        let exclusion =
            Exclusion { ports: vec![(Some(Protocol::UDP), EXCLUDED)], ..Exclusion::default() };
        let mut observer = Observer::load(&Options {
            attach_mode: AttachMode::Clsact,
            flow_entries: 1,
            exclusion,
            ..options()
        })?;
        for node in [cli, web] {
            observer.attach(node)?;
        }
        let mut talk = Talk::between(cli, web, Family::V4)?;
        let way = traffic::udp(cli, web, Family::V4, SMALL)?;
        let seen = talk.is_exact(&mut observer, way)?;
        attached = Some(observer);
        Ok(seen.detail())
    });
    let Some(mut observer) = attached else { return };
    report.check("filter", || beside::filter(&mut observer, cli, web));
    report.check("evicts-through-the-ring", || {
        for _ in 0..FLOWS_TO_EVICT {
            let mut talk = Talk::between(cli, web, Family::V4)?;
            let way = traffic::udp(cli, web, Family::V4, SMALL)?;
            talk.is_exact(&mut observer, way)?;
        }
        let evicted = observer.datapath().status().evictions;
        ensure!(evicted > 0, "no flow had to give way");
        exact::ledger(&mut observer)?;
        Ok(format!("exact; {evicted} evicted"))
    });
    report.check("takes-clsact-away", || {
        for node in [cli, web] {
            observer.detach(node)?;
        }
        drop(observer);
        nothing_is_left()
    });
}

/// No program of ours is in the kernel any more, and so no filter or link that would hold it. The kernel takes its time.
fn nothing_is_left() -> Result<String> {
    exact::until(|| {
        let mut left = Vec::new();
        for program in aya::programs::loaded_programs() {
            // One that goes while we look is gone.
            let name = program.ok().and_then(|program| program.name_as_str().map(String::from));
            left.extend(name.filter(|name| name.starts_with("netwatch")));
        }
        Ok(if left.is_empty() { Ok(()) } else { Err(format!("still loaded: {}", left.join(", "))) })
    })?;
    Ok("yes".into())
}
