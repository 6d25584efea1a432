//! Hundreds of interfaces a minute, with traffic: nothing is left of them, and every packet is counted or said to have been missed.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use super::{
    alone, assert_books_balance, datagram, send,
    support::{
        agent::Agent,
        counters::{self, Counters, Quiet},
        frames::Sender,
        held,
        metrics::Metrics,
        netns::{in_namespace, in_new_namespace, own},
        shell::run,
        veth,
        wait::{PATIENCE, until},
    },
};

/// Interfaces at a time, and how often.
const AT_ONCE: u32 = 25;
const ROUNDS: u32 = 12;
/// Frames through each.
const EACH: u16 = 20;
/// By rounds, until everything that is made once has been made.
const WARM: u32 = 2;

/// What must not grow.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    attached: u64,
    links: usize,
    maps: usize,
    programs: usize,
    descriptors: usize,
    series: usize,
    flows: u64,
}

impl Held {
    fn by(agent: &Agent) -> Self {
        let metrics = agent.metrics();
        let held = held::by(agent.pid());
        let series = metrics.series.iter().map(|series| &series.name);
        Self {
            attached: metrics.count("netwatch_attached_interfaces", &[]),
            links: held.links.len(),
            maps: held.maps,
            programs: held.programs,
            descriptors: held.descriptors,
            // Who has gone keeps edges for a while (`who_is_forgotten_makes_room_and_who_is_held_stays` in flow/edges.rs), and
            // frames in a namespace that ends may be dropped for one more reason.
            series: series
                .filter(|name| !name.contains("_edge_") && !name.contains("_dropped_"))
                .count(),
            flows: metrics.count("netwatch_flows_active", &[]),
        }
    }
}

/// Runs a list of commands of `ip`.
pub(super) fn ip(commands: &[String]) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), commands.join("\n")).unwrap();
    run("ip", &["-batch", file.path().to_str().unwrap()]);
}

fn is_attached(metrics: &Metrics, name: &str) -> bool {
    metrics.has("netwatch_interface_info", &[("interface", name)])
}

/// What both have counted of the interfaces of a round, once nothing moves.
fn round(agent: &Agent, number: u32) -> Counters {
    let names: Vec<String> = (0..AT_ONCE).map(|each| format!("c{number}x{each}")).collect();
    let mut commands = Vec::new();
    for name in &names {
        commands.push(format!("link add {name} type veth peer name p{name}"));
        commands.push(format!("link set {name} master bridge"));
        commands.push(format!("link set p{name} up"));
        commands.push(format!("link set {name} up"));
    }
    ip(&commands);
    agent.until_metrics("all are attached to", |metrics| {
        names.iter().all(|name| is_attached(metrics, name)).then_some(())
    });
    for name in &names {
        send(&mut Sender::at(veth::index(name)), EACH);
    }
    let quiet = Quiet::wait_for(agent);
    let mut sum = Counters::default();
    for name in &names {
        assert_eq!(quiet.netwatch[name].transmit_packets, u64::from(EACH), "{name}");
        let of = quiet.netwatch[name];
        sum.transmit_packets += of.transmit_packets;
        sum.receive_packets += of.receive_packets;
    }
    ip(&names.iter().map(|name| format!("link delete {name}")).collect::<Vec<_>>());
    agent.until_metrics("all are gone", |metrics| {
        names.iter().all(|name| !is_attached(metrics, name)).then_some(())
    });
    sum
}

/// A bridge that is only a place for ports: it forwards nothing.
pub(super) fn make_bridge() {
    veth::be_silent();
    run("ip", &["link", "add", "bridge", "type", "bridge"]);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn hundreds_a_minute_leave_nothing_and_lose_nothing() {
    alone(|| {
        make_bridge();
        let agent = Agent::start(&["--flow-idle-timeout", "1s"]);
        let mut sum = 0;
        let mut held = None;
        let mut begin = Instant::now();
        for number in 0..ROUNDS {
            if number == WARM {
                held = Some(until_settled(&agent));
                begin = Instant::now();
            }
            let counted = round(&agent, number);
            sum += counted.transmit_packets + counted.receive_packets;
        }
        let took = begin.elapsed();
        let held = held.unwrap();
        until_held(&agent, &held);
        let metrics = agent.metrics();
        // What passed before the attach is said, and all else was counted.
        let gap = metrics.count("netwatch_attach_gap_packets_total", &[]);
        assert_eq!((metrics.count("netwatch_packets_seen_total", &[]), gap), (sum, 0));
        assert_books_balance(&metrics);
        assert_eq!(metrics.count("netwatch_attach_failures_total", &[]), 0);
        let attaches = u64::from(ROUNDS * AT_ONCE);
        assert_eq!(metrics.count("netwatch_attach_seconds_count", &[]), attaches);
        say(&metrics, (ROUNDS - WARM) * AT_ONCE, took.as_secs_f64());
    });
}

#[expect(clippy::print_stdout, reason = "for whoever wants to know")]
fn say(metrics: &Metrics, interfaces: u32, seconds: f64) {
    let all = metrics.value("netwatch_attach_seconds_count", &[]);
    let within =
        |bound: &str| metrics.value("netwatch_attach_seconds_bucket", &[("le", bound)]) / all;
    println!(
        "{:.0} interfaces a minute; attached within 10 ms: {:.1} %, within 50 ms: {:.1} %",
        f64::from(interfaces) * 60.0 / seconds,
        within("0.01") * 100.0,
        within("0.05") * 100.0
    );
}

fn until_held(agent: &Agent, expected: &Held) {
    let mut held = Held::by(agent);
    let begin = Instant::now();
    while held != *expected && begin.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(100));
        held = Held::by(agent);
    }
    assert_eq!(held, *expected);
}

/// What is held when the flows of the rounds before have ended.
fn until_settled(agent: &Agent) -> Held {
    until("no flow is open", || {
        let held = Held::by(agent);
        (held.flows == 0).then_some(held)
    })
}

/// Namespaces that are deleted while frames pass: with them goes the container's end, and with that ours.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn namespaces_deleted_under_traffic_leave_nothing() {
    alone(|| {
        make_bridge();
        let agent = Agent::start(&["--flow-idle-timeout", "1s"]);
        let mut held = None;
        for number in 0..20u32 {
            if number == WARM {
                held = Some(until_settled(&agent));
            }
            let name = format!("h{number}");
            let inside = in_new_namespace(|| {
                veth::be_silent();
                own()
            });
            let path = format!("/proc/{}/fd/{}", std::process::id(), descriptor(&inside));
            run(
                "ip",
                &["link", "add", &name, "type", "veth", "peer", "name", "eth0", "netns", &path],
            );
            run("ip", &["link", "set", &name, "master", "bridge"]);
            let index = in_namespace(&inside, || {
                run("ip", &["link", "set", "eth0", "up"]);
                veth::index("eth0")
            });
            run("ip", &["link", "set", &name, "up"]);
            agent.until_metrics(&name, |metrics| is_attached(metrics, &name).then_some(()));
            let here = Sender::at(veth::index(&name));
            // A packet socket of the namespace does not keep it alive for its devices' sake.
            let there = in_namespace(&inside, move || Sender::at(index));
            let senders = [here, there].map(|mut sender| {
                thread::spawn(move || {
                    let frame = datagram(1_000);
                    while sender.try_send(&frame) {}
                })
            });
            until("there is traffic", || {
                let counters = counters::of_netwatch(&agent.metrics());
                let of = counters[&name];
                (of.receive_packets > 500 && of.transmit_packets > 500).then_some(())
            });
            if number.is_multiple_of(2) {
                // As an engine does it; otherwise the last reference goes.
                in_namespace(&inside, || run("ip", &["link", "delete", "eth0"]));
            } else {
                run("ip", &["link", "delete", &name]);
            }
            for sender in senders {
                sender.join().unwrap();
            }
            drop(inside);
            agent.until_metrics("it is gone", |metrics| {
                (!is_attached(metrics, &name)).then_some(())
            });
        }
        until_held(&agent, &held.unwrap());
        assert_books_balance(&Quiet::wait_for(&agent).metrics);
    });
}

fn descriptor(file: &fs::File) -> i32 {
    std::os::fd::AsRawFd::as_raw_fd(file)
}
